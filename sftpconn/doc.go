// Package sftpconn keeps a connection to one SFTP server. It spreads requests over channels, notices when
// the connection is lost, makes a new one, and sends again what was not answered. Its callers see answers
// and refusals of the server, and no lost connections.
//
// # Links and channels
//
// A link is one authenticated connection (transport.Transport). Each channel of a link carries an SFTP
// session of its own. The first channel of the first link is the channel of names: look-ups, listings and
// changes of names go there, in order, and never wait behind a copy. Bulk channels carry the content of
// files. They are opened when a stream of data is held up by the windows of the channels there are (2 MiB
// each, whatever the distance), and one file is then striped over all of them:
//
//   - On a long line as many are opened at once as a gigabit needs (atOnce). The first of the round trips
//     that this takes is made in advance, when a stream begins (reserve).
//   - A file whose requests wait for room is opened on each channel as soon as that is there (join).
//   - On a line so fast that nobody would notice, data also takes part of the window of the channel of
//     names (lend).
//   - Where the server grants no further channel, those that there are have to do.
//   - Where the server works on one request for long, names get another channel beside it (freeStuck).
//
// # Requests that do not wait for an OPEN
//
// OpenSSH's handles can be foreseen (session.Call.Foreseen), so that READs can follow an OPEN before it is
// answered: for the beginning of a file that will most likely be read (OpenRequest.Size), and for all reads
// over a further channel (readEarly). In the same way the first READDIRs of a listing follow its OPENDIR.
// What they bring is used only when the answer has the foreseen handle. Nothing is ever written with a
// foreseen handle. An fsync is sent right behind the last WRITEs, on each channel that has some
// (FsyncBehind); where all of them are on one channel, so is the question for the attributes that they give
// the file (StatBehind). So it is behind a request that cuts a file (Truncate).
//
// # A lost connection
//
// The manager, a goroutine, dials, watches the link, and dials again when it is lost. Requests that were in
// flight then end with session.LostError. No caller sees that error: each method waits for the next
// connection and asks again. Where a request can't simply be sent twice, a look tells what the server has
// done of the first one (see retry). Handles belong to a channel and die with it; a File opens new ones when it is
// next used. A request at which sessions end again and again is given up (see losses).
//
// # The way of a request
//
// A request about a name waits for the channel of names (Conn.channel) and is queued in its session; it is
// asked again when the connection is lost (retry). Nothing else holds it back. A small request about an open
// file (File.ask) goes the same way, with a handle.
//
// A READ or WRITE of an open file passes, in this order,
//
//  1. its Turn, where its caller has given it one: it goes out behind those that were asked for before it;
//  2. the room of the file (room.go): no more is in flight than the windows of the channels carry on which
//     the file is open;
//  3. a handle on the least loaded channel on which the file is open (File.use); where the file is open on
//     none, it is opened again first;
//  4. the pacer of the link, one for each direction (pace.go): the bytes in flight stay near rate × smallest
//     round trip, which is enough to fill the line and too little to fill its queues. Requests that no
//     program waits for come second here;
//  5. the queue of the session, whose writer sends it.
//
// File.pass cuts what was asked for into such requests. A ticket stands for a request that is past the
// pacer. When the request is answered or lost, finish gives back what the ticket holds; move sends a lost
// one again. Reads without a File (ReadSmall, and the head of a file in the flight of its opening) pass the
// pacer and the queue alone.
//
// # How many channels
//
// A pacer learns how much the line holds (rate.go, rtt.go). From that it derives how much may be in flight
// and how many channels would carry it (pressure.go). Where requests wait, or a file is asked for much of
// what its channels carry (crowd), the link opens further channels in the background (grow), and a further
// link is made where the user allows several (addLink). A file that moves much is then opened on the
// channels that there are (widen, stripe), and each new handle must prove to be of the same file
// (identity.go, moving.go). Channels that nobody uses are closed again (shrink). Where the server grants no more
// channels and something else needs one, a bulk channel is given up for it (yield).
//
// # Words
//
//   - handle: a file opened on one channel (handle.go). A File has one for each channel that it uses; with
//     several it is striped.
//   - look: a question for attributes, which tells what a handle or a name leads to (looks.go, identity.go).
//   - early: read before the OPEN in front of it is answered (early.go).
//   - exposed: bytes that were acknowledged and not followed by an fsync. A crash of the server may take
//     them (exposed.go).
//   - deadly: the offset from which on a WRITE ends its session (losses.go).
//   - doubt: a change of names that was sent and not answered (doubt.go).
//   - owing: permission bits that this side has still to give to a file (bits.go).
//   - turn: the place of a read or write among those of its file, by the order in which callers asked (turn.go).
//   - yield: to close a bulk channel, so that the server grants another one in its place (yield.go).
//   - still, moving: of a file, that is only read, or that is being written; its further handles prove by that to
//     be of the same file (identity.go, moving.go).
//   - drain: to send little for a moment, so that the line's queues run empty, and the smallest round trip shows
//     (rtt.go). stretch: by how much more than rate × smallest round trip is in flight (rate.go).
//   - lend: to let data use part of the channel of names (pressure.go).
//   - stuck: of a channel on which the server does not finish a request. Such a channel of names becomes a
//     former one (stuck.go).
//   - closing: a file that is about to be closed, or whose CLOSE is not answered. Servers that answer out of
//     order, or that keep whole objects, are asked about its name only after that (closing.go).
//   - ahead: of a request that no program waits for. One that was made with Guess is not sent to a second
//     session (context.go).
//
// # Goroutines
//
// All are started by Conn.spawn, and Conn.Close returns when all have ended. A Conn has the manager and
// those that watch the network and the clock. A link has one that watches for silence, one that closes idle
// channels and one for each bulk channel, which waits for its end; a further link has one that waits for the
// end of that. The others are short: they open a handle, wait for an answer that no caller waits for, or
// bring a change to its end whose caller has gone.
//
// # Locks and deadlocks
//
// No lock is held over a round trip. The order is File.mu, Conn.mu, link.mu, pacer.mu, minRTT.mu.
// Conn.bitsMu comes after File.mu and before Session.mu, and is held while a request is queued.
// Session.mu and every other lock here are leaves.
//
// The functions of an OpenRequest are called with no lock of this package held, but from any method: who
// calls one must hold no lock that they take. They must not call Conn.Close, which would wait for them.
//
// On a dead line a write to a channel blocks until the transport is closed. So a link is closed from below:
// first its transport, then its sessions.
package sftpconn
