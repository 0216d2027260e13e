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
// # In-flight control
//
// All data of files passes a pacer for each link and direction, which keeps the bytes in flight
// near rate × smallest round trip: enough to fill the line, too little to fill its queues. Requests
// that nobody waits for come second there.
//
// # Locks
//
// No lock is held over a round trip. The order is File.mu, Conn.mu, link.mu, pacer.mu, minRTT.mu.
// Conn.bitsMu comes after File.mu and before Session.mu, and is held while a request is queued.
// Session.mu and every other lock here are leaves.
package sftpconn
