// Package sshdial logs in to a server and hands back a transport.Transport: one
// authenticated connection on which channels with an SFTP server at their far
// end can be opened. It knows nothing of what SFTP says on them.
//
// # Who decides what
//
// The user's ssh configuration decides how a host is reached, and ssh itself is
// asked what that configuration means (`ssh -G`), so that Match, Include and
// canonical names need no second implementation; where no ssh is installed, a
// library reads the files. It is asked anew for each login (route), as a Match may
// ask in what network this machine is. A hop is one server on the way, with its own
// configuration, host key check and login; the last hop is the server itself.
//
// The native client speaks SSH in this process. Where the configuration asks
// for what it lacks (compression, GSSAPI, PKCS#11, …) the system's ssh is run
// instead, and one log line says why.
//
// # Time and questions
//
// The time limit of a login (ConnectTimeout) runs only while the other side is
// being waited for; it stands still while the user is typing. After the first
// successful login nobody is asked anything any more: the answers that worked
// are kept for the next login, until Forget.
//
// # Ending
//
// A transport is torn down from the bottom: the socket of the first hop (or the
// process that carries the line) goes first, so that nothing above it can block
// on a peer that is gone.
package sshdial
