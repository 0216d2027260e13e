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
// Everything learnt from the server carries the moment until which it may be trusted. What this
// side changes itself is known at once. An answer that crossed with a change made here is handed on
// but not kept: each node and each directory counts its changes, and an answer is kept only when
// the count is still what it was when the question went out. A path can lead elsewhere once a
// rename is done, so questions about names, and changes of them, wait for the changes under way
// above them, and what a rename overtook is asked again. The mtime that a write gives to its file
// is the server's: it is asked for in the flight of the last bytes (mtime.go); so is that of a
// directory whose names were changed, where a program looks at it each time (dirtime.go).
//
// Changes of names and attributes have turns among each other; how one goes its way, and what -o async
// makes of that, is told at the queue (queue.go).
//
// # An open file
//
// What a program has open is a Handle. Its bytes go through a filedata.Handle to the filedata.File that
// all handles of the file share: reads find there what is here, and read ahead; writes stay there until
// they are acknowledged, which close and fsync wait for (Handle.Flush, Handle.Fsync). What is not here
// comes from the backend of the handle, which has the sftpconn.File or will have it: with content that
// was fetched ahead the file is opened only when it is needed, and with -o async it is still to be
// made. Release gives it back when all that was written through it has arrived. One that was only read
// outlives that for a moment, for the next open (kept.go).
//
// What is known of the bytes as a whole is the fileState of the node (content.go): of which version of
// the file they are (version.go), what the kernel has to be told of its pages (pages.go), and what was
// written here that the server has not told of (written.go).
//
// # Ahead of the program
//
// Each open asks whether a file still is what is known of it. Where a program is seen to go from
// file to file, the answer comes before the question: small files are fetched, those whose bytes
// are here are looked at, and either counts as just opened for a few seconds. A version that came about
// in the second in which it was seen is not trusted at the next open (version.racy).
//
// Two guess what comes next. The scan (scan.go) is told of each file that is opened, and goes ahead
// to the next files: along the listings, by the iterator of order.go, or as they were opened the last
// time. The walk (walk.go) is told of each directory that is listed, or in which many names are looked
// up, and goes ahead to the listings of those beside and below it. Each has a window, which grows by
// what is used, and a pump, which asks for more whenever something is used or comes. What the scan
// asks for waits at its file until it is opened, contradicted or too old (ahead.go); what the walk asks
// for is a listing like any other. Both pause where the server may have nothing open to spare
// for them (scarce.go); creations that were answered beforehand wait there for their room (fileroom.go).
//
// # Locks
//
// Cache.mu guards the tree: every field of Node, dirState, listing and fileState. It is held for
// moments and never over a request. queue.mu (changes under way) and notices.mu may be taken with
// Cache.mu held, never the other way round. rescue.mu is held over writes to the local disk, and
// never with another lock; reports.mu is a leaf.
//
// filedata's locks are its own, and come after Cache.mu. Only those of its calls that never wait
// are made with Cache.mu held: NewFile, Open, Preload, Release, Size, SetRemoteSize, Truncated,
// Grown, Acknowledged, Lacking, Unpaged, Drop, Changed, Divided, Short, Renew, SetTimes, LastWrite, LastAck. A
// file that was kept open is closed with Cache.mu held, and one that is open is told so of a cut
// (willBeCut), so sftpconn's File.mu comes after it, too;
// sftpconn calls the Path, Check and Lost of an opening with no lock held.
//
// # Errors
//
// Every error that a program may see carries a syscall.Errno (errors.As). What a refusal of the
// server stands for is decided in errno.go, and for a write too long for any file in explainWrite.
package cache
