// Package session speaks SFTP version 3 (draft-ietf-secsh-filexfer-02 with
// OpenSSH's extensions, PROTOCOL section 4) over one channel.
//
// Requests are asynchronous: each method queues one request and returns a Call
// at once; requests go out in the order in which they were queued. Replies may
// come in any order. Nothing here retries or reconnects: a Session that is lost
// stays lost, and its handles with it.
//
// # Goroutines and ownership
//
// A session has one writer and one reader. The writer takes calls from the queue
// and gathers small requests into pieces of one SSH packet; the reader parses
// replies and puts the payload of DATA straight into the buffer of its call.
// A call's buffer is in use until the call's Done is closed, and Done is closed
// only when neither goroutine touches the buffer any more, also when the session
// is lost meanwhile.
//
// Both end when the session is over: the reader when the channel is closed, the
// writer at the latest when a write on the channel fails. On a dead line that is
// when the transport below is closed.
//
// Session.mu guards the state of the session and of its calls. No other lock is
// taken under it, and it is not held while bytes move.
//
// # Words
//
//   - call: one request, and its answer.
//   - foreseen: of a handle, used in requests that go out before the OPEN or OPENDIR is answered, which should
//     give it out (handles.go).
//   - peek: a READDIR with a handle that is only foreseen. An OPENDIR is untouched where no peek for another directory
//     can have taken names from it.
//   - unread: of a CLOSE, that its directory was not read to the end.
//   - abandoned: of a call, that nobody waits for its answer any more.
//
// # What the server is trusted with
//
// Nothing. A length is checked before memory is asked for, and before a byte
// more is read: against the largest packet, against what the request asked for,
// and against what is left of the packet. A reply that nobody asked for, of the
// wrong type, too long or too short ends the session with an error that says so.
package session
