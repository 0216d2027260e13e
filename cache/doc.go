// Package cache is what is known here of the remote side, and what is not yet there: a tree of
// names with attributes, listings, absent names, the bytes of files, and operations that the server
// has not answered. It answers what it can for sure, asks the server for the rest, and keeps the
// promises of freshness and durability. It knows nothing of FUSE and of SSH.
//
// # The tree
//
// A Node is one file, directory or link that the kernel, an open handle or a request refers to.
// SFTP has no inode numbers: a node is found by its name, and keeps its number for as long as it is
// known. A directory's listing holds the names and attributes that the server sent, in its order;
// nodes for them are made when somebody asks. So a name costs little until it is used.
//
// # Trust
//
// Everything learnt from the server carries the moment until which it may be trusted. A change made
// here is known at once. An answer of the server may have crossed with such a change: then it is
// handed on, but not kept. To see that, each node counts the changes made here (Node.gen); a stamp is
// taken before a question goes out, and the answer is kept only where the count is still the same. What the
// server tells of a change made elsewhere counts as well: answers may be taken in in another order than they
// were given.
//
// A rename makes paths lead elsewhere. So questions about names, and changes of them, wait for the
// changes under way at the name and above it; and a question with which a rename has crossed
// all the same is put again (strayed).
//
// The mtime that a write gives to its file is the server's. It is asked for in the flight of the last
// bytes (mtime.go). So is that of a directory whose names were changed, where a program
// looks at it each time (dirtime.go).
//
// # Changes
//
// Changes of names and attributes take turns: two that concern the same name, or names of which one is
// in the other, are done one after the other. The way of a change, and what -o async makes of it, is told
// at the queue (queue.go). With -o async the tree runs ahead of the server; what the server has instead
// meanwhile is in there.go.
//
// # An open file
//
// What a program has open is a Handle. Its bytes go through a filedata.Handle to the filedata.File that
// all handles of the file share: reads find there what is here, and read ahead; writes stay there until
// they are acknowledged, which close and fsync wait for (Handle.Flush, Handle.Fsync). What is not here
// comes from the backend of the handle. It has the sftpconn.File, or will have it: where content was
// fetched ahead the remote file is opened only when it is needed, and with -o async it may still have to be
// created. Release gives the remote file back when all that was written through it has arrived. One that was
// only read is kept for a moment, for the next open (kept.go).
//
// What is known of the bytes as a whole is the fileState of the node (content.go): of which version of
// the file they are (version.go), what the kernel has to be told of its pages (pages.go), and what was
// written here that the server has not told of (written.go). What the kernel believes of the size is
// in told.go.
//
// # Names that lead elsewhere
//
// Others may give the name of a node to another file at any time, and the server does not say so. Where
// something speaks for it, an open handle is asked as well, and tells whether the name is still its
// own (supplanted.go). A node of several names (hard links made here) has to be sure of each of them
// (hardlink.go, asknames.go). In either case the answer is ESTALE, after which the kernel looks the name up.
//
// # Ahead of the program
//
// Each open asks whether a file still is what is known of it. Where a program is seen to go from
// file to file, the answer comes before the question: small files are fetched, those whose bytes
// are here are looked at, and either counts as just opened for a few seconds. A version that came about
// in the second in which it was seen is not trusted at the next open (version.racy).
//
// Two parts guess what comes next. The scan (scan.go) is told of each file that is opened, and goes ahead
// to the next files: along the listings (order.go), or in the order in which they were opened the last
// time. The walk (walk.go) is told of each directory that is listed, or in which many names are looked
// up, and goes ahead to the listings of those beside and below it. Each has a window, which grows when
// a guess was right, and a pump, which asks for more whenever something is used or comes. What the scan
// has fetched waits at its file until it is opened, contradicted or too old (ahead.go); what the walk has
// fetched is a listing like any other. Both pause where the server may have no handles to spare
// for them (scarce.go). For the same reason creations that were answered beforehand may have to wait
// (fileroom.go).
//
// # Words
//
//   - stamp: the state of a node, or of a name, before a question goes out. A change made here since then has
//     crossed with the answer (refresh.go). A rename has: the answer is strayed (rename.go).
//   - turn: of a change, its place among those that concern the same names (queue.go, turn.go).
//   - sure: of a change, its outcome is known before the server has answered; of a name, that it is still its
//     node's own (hardlink.go).
//   - there: what the server has at a name, where that differs from the tree (there.go). settle (settle.go) has the tree show
//     it when nothing is under way at the name any more.
//   - doubt, distrust: of a name, a listing or content, to have the next question go to the server; distrustName has
//     the kernel ask as well.
//   - signature: size and mtime, by which contents are told apart (version.go); racy where they might not tell.
//   - dirty: of a file, with bytes or times that the server has not acknowledged. untold: written, and the server has not
//     told size and mtime since (written.go).
//   - kept: a remote file that is left open for the next open (kept.go).
//   - ahead: content that was fetched before anybody has asked for it (ahead.go).
//   - gone, replaced, supplanted: what had a name has it no more; something else may have it now; something else was
//     found to have it while the file is open here (attr.go, supplanted.go).
//   - room: of the server, for one more open file (fileroom.go). The backlog is the room for changes (change.go).
//   - told: of the kernel, the size that it was given last (told.go).
//
// # Goroutines
//
// Those counted by Cache.wg end with Cache.ctx, and Close waits for them: the fetch of a listing, what is
// asked for ahead, a change that is sent, the end of a handle after Release. One goroutine for each kind of
// notice runs while there are any (notice.go); it ends by itself, and Close does not wait for it,
// as the kernel may take its time. One syncs rescue files while there are any to sync, which Close waits for.
// The filedata.Pool has its own. Those that ask several questions in one flight for a program end with its context
// (askNames, askBeside, resolveRoot).
//
// # Locks
//
// Cache.mu guards the tree: every field of Node, dirState, listing and fileState. It is held for
// moments and never over a request. These come after it, and none of these groups is held while another is taken:
//
//   - queue.mu and notices.mu;
//   - the locks of filedata. Only calls that never wait are made with Cache.mu held: NewFile, Open, Preload,
//     Release, Size, SetRemoteSize, Truncated, Grown, Acknowledged, Lacking, Unpaged, Drop, Changed, Divided,
//     Short, Renew, SetTimes, LastWrite, LastAck;
//   - sftpconn's File.mu, and what comes after that there: a remote file may be closed, or told of a cut
//     (willBeCut), with Cache.mu held.
//
// The hooks of an OpenRequest (Path, Check, Lost, Written) are called by sftpconn with no lock held, and so
// are those of filedata's Options: they take Cache.mu. lazyBounded.mu comes before sftpconn's Conn.mu, and is
// never held with Cache.mu. rescue.mu is held over writes to the local disk, and never with another lock;
// reports.mu is a leaf.
//
// # Errors
//
// Every error that a program may see carries a syscall.Errno. What a refusal of the
// server stands for is decided in errno.go, and for a write too long for any file in explainWrite.
package cache
