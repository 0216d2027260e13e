// Package session speaks SFTP version 3 (draft-ietf-secsh-filexfer-02 with
// OpenSSH's extensions, PROTOCOL section 4) over one channel.
//
// Requests are asynchronous: each method queues one request and returns a Call
// at once, in the order in which they go out. Replies may come in any order.
// Nothing here retries or reconnects: a Session that is lost stays lost, and
// its handles with it.
package session
