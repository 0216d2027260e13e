// Package sshdial logs in to a server and hands back a transport.Transport: one
// authenticated connection on which channels with an SFTP server at their far
// end can be opened. It knows nothing of what SFTP says on them.
//
// # Who decides what
//
// The user's ssh configuration decides how a host is reached, and ssh itself is
// asked what that configuration means (`ssh -G`), so that Match, Include and
// canonical names need no second implementation; where no ssh is installed, a
// library reads the files. It is read anew for each login (route), because a Match
// may depend on the network in which this machine is. A hop is one server on the way, with its own
// configuration, host key check and login; the last hop is the server itself.
//
// The native client speaks SSH in this process. Where the configuration asks
// for what it lacks (compression, GSSAPI, PKCS#11, …) the system's ssh is run
// instead, and one log line says why.
//
// # Words
//
//   - route: the way to the server as its hops, in order, as the configuration has them now (route.go, way.go).
//   - given: a password that the user has passed beforehand; kept: what has worked at an earlier login, or was given.
//   - handed over: of a login, that it is left to the system's ssh, because that can do what this client lacks.
//   - patience: the time limit of a login, which stands still while the user is asked.
//
// # Time and questions
//
// The time limit of a login (ConnectTimeout) runs only while the server is being
// waited for; it stands still while the user is typing. After the first successful
// login nobody is asked anything any more: the answers that worked are kept for
// the next login, until Forget.
//
// # Ending
//
// A transport is torn down from the bottom: the socket of the first hop (or the
// process that carries the line) is closed first, so that nothing above it can
// block on a peer that is gone.
//
// # Goroutines
//
// A line has one that writes (gatherConn.flush); it ends with the line. The SSH
// library has its own, which end with the connection, as do those that serve
// requests of the server, wait for the connection's end, or open a session in
// advance. An external program has one that waits for its end, and while it is
// being closed one that kills it where it does not go. What can't be interrupted
// (opening a channel, waiting for the first byte, reading the configuration) runs in
// a goroutine that is left alone when the login's context ends (awaiting). It ends a
// moment later, when what it waits for is closed or killed.
//
// # Locks
//
// Dialer.mu comes before secrets.mu. hostKeyCheck.mu is held while the user is
// asked about a key, so it comes before the locks of questions, patience and
// unsavedKey. echo.mu comes before questions.turn, and that before questions.mu.
// gatherConn.headMu comes before patience.mu. All others are leaves. The functions
// that patience calls are called with no lock held.
package sshdial
