// Package sftpconn is one remote side that is always there: it keeps a connection to an SFTP
// server, spreads requests over channels, and makes a new connection when one is lost, so that its
// callers see answers and not lines.
//
// # Links and channels
//
// A link is one authenticated connection (transport.Transport). On it run channels, each with an
// SFTP session of its own. The first channel of the first link is the one of names: look-ups,
// listings and changes of names go there, in order, and never wait behind a copy. Bulk channels are
// opened when a stream of data is held up by the window of the channels there are (2 MiB each,
// whatever the distance), and one file is then striped over all of them. Where the line is long as
// many are opened at once as a gigabit needs (atOnce), and the first of the round trips that this
// takes is made in advance, when a stream begins (reserve). A file that waits for room is opened on
// each channel as it comes (join). On a line so fast that nobody would notice, a part of the window
// of the channel of names carries data, too (lend). Where the server grants no further channel,
// those that there are have to do. Where the server is busy with one request for long, names get
// another channel beside it (freeStuck).
//
// # What goes out in one flight
//
// OpenSSH's handles can be foreseen (session.Call.Foreseen), so READs follow an OPEN before it is
// answered: the beginning of a file that will most likely be read (OpenRequest.Size), and all reads
// over a further channel (readEarly). In the same way the first READDIRs of a listing follow its
// OPENDIR. What they bring is used only when the answer has the foreseen handle. Nothing is ever
// written with a foreseen handle. An fsync goes out behind the last WRITEs on each channel
// (FsyncBehind); so does, where these are on one channel, a question for the attributes that they
// give the file (StatBehind).
//
// # A lost connection
//
// One goroutine, the manager, dials, watches and dials again. Requests that were in flight when a
// session was lost end with session.LostError inside this package only: each method waits for the
// next connection and asks again. What can't simply be asked twice is looked at (see retry).
// Handles belong to a channel; a File opens new ones when it is next used (see File). A request at
// which sessions end again and again is given up (see losses).
//
// # The way of a request
//
// A request about names takes the channel of names, waiting for a connection where there is none
// (Conn.channel), is queued in its session, and is asked again when the connection is lost (retry).
// Nothing else holds it back. A small request on an open file (File.ask) does the same, but for a handle.
//
// A READ or WRITE of an open file passes, in this order,
//
//  1. its Turn, where its caller has given it one: then it goes out behind those that were asked for
//     before it;
//  2. the room of the file (room.go): no more is in flight than the windows of the channels carry on
//     which the file is open;
//  3. a handle on the least loaded channel on which the file is open (File.use), or one that is opened
//     for it where there is none;
//  4. the pacer of the link, one for each direction (pace.go): the bytes in flight stay near rate ×
//     smallest round trip, enough to fill the line and too little to fill its queues. What no program
//     waits for comes second here;
//  5. the queue of the session, whose writer sends it.
//
// File.pass cuts what was asked for into such requests. A ticket is what one has when it is past the
// pacer, and finish gives everything back when it is answered or lost; move sends it again where it was
// lost. What is read without a handle of a File (ReadSmall, and the head of a file in the flight of its
// opening) passes the pacer and the queue alone.
//
// # How many channels
//
// A pacer learns how much the line holds (rate.go, rtt.go), and says from that how much may be in flight
// and how many channels would carry it (pressure.go). Where requests wait, or a file is asked for much of
// what its channels carry (crowd), the link opens further channels in the background (grow), and a further
// link is made where the user allows several (addLink). A file that moves much is then opened on the
// channels that there are (widen, stripe); a handle there must prove to be of the same file (identity.go).
// Channels that nobody uses are closed again (shrink), and one is given up where the server grants no more
// and something else needs it (yield).
//
// # Words
//
//   - A handle is a file opened on one channel (handle.go). A File has one for each channel that it uses; with
//     several it is striped. A look asks what a handle or a name is of (looks.go, identity.go).
//   - Early is what is read before the OPEN that it follows is answered (early.go).
//   - Exposed are bytes that are acknowledged and that no fsync has followed: a crash of the server may take
//     them (exposed.go). Deadly is from where on writing ends the session (losses.go).
//   - A doubt is a change of names that was sent and not answered (doubt.go).
//   - Owed are permission bits that this side has still to give to a file (bits.go).
//   - Stuck is a channel on which the server does not come to an end with a request; former, one that was of
//     names until then (stuck.go).
//   - A closing is a file that is about to be closed, or whose CLOSE is on its way: at a server that may come to later
//     requests first, or may keep whole objects, what concerns its name waits for that (closing.go).
//   - Ahead is what no program waits for. Asked for by a Guess, it is not sent to a second session (context.go).
//
// # Locks
//
// No lock is held over a round trip. The order is File.mu, Conn.mu, link.mu, pacer.mu, minRTT.mu.
// Conn.bitsMu comes after File.mu and before Session.mu, and is held while a request is queued.
// Session.mu and every other lock here are leaves.
package sftpconn
