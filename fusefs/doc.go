// Package fusefs is the kernel's side of a mount: it turns the requests that
// the kernel sends over /dev/fuse into calls of package cache, and answers with
// attributes, bytes and errno values as programs expect them.
//
// # One tree
//
// The package keeps no nodes of its own. A FUSE node id is a cache.Node's ID,
// and the kernel's look-up counts are that node's references: every answer that
// carries a node takes one (the cache counts it when it returns a cache.Found),
// and FORGET gives them back. What is kept here are the open handles, by the numbers
// that the kernel has for them (handles.go), and for a moment those of OPENs that the
// kernel is made to send twice (postponed.go).
//
// # The way of a request
//
// go-fuse calls a method of filesystem for each request, in a goroutine of its own. The
// method refuses callers whom AllowRoot keeps out and finds the node (admit) or the
// handle, calls the cache with an operation as the context (begin, end), translates what
// comes back (attr, entry, status), and returns. A request may wait for the network for
// minutes. The kernel meanwhile holds a lock of the directory that the request is about,
// or of the pages.
//
// # Who may wait for whom
//
// A notice (the kernel is told to forget something) takes the same locks in the kernel
// as a request. So none is sent by the goroutine of a request, which would wait for
// itself, but by goroutines of the cache that serve no request (notify.go). There are
// two exceptions: forgetSize names no pages, so the kernel takes no lock for it;
// and forgetPages, which is sent by another goroutine, is waited for by its request no
// longer than noticePatience.
//
// For the same reason a process that serves a mount must never use files below its
// mount point: it would wait in the kernel for an answer of its own.
//
// # Words
//
//   - notice: what the kernel is sent without having asked, to have it forget pages, attributes or a name (notify.go).
//   - operation: one request of the kernel, as the context of what is done for it (interrupt.go).
//   - admitted: of a request, that its caller may use the mount, and its node is known.
//   - postponed: of an OPEN, answered with ESTALE to have the kernel ask for the size, and then send it again (postponed.go).
//
// # Interrupts
//
// The kernel says once that a waiting program got a signal, and not which one.
// Go programs get several a second (SIGURG), others are told of a resized window
// or a dead child; a file operation that failed with EINTR because of these would
// break programs that never saw it on a local disk. So an interrupt only makes the
// watcher look, again and again, whether the program is being killed or asked to stop
// (interrupt.go).
//
// # Goroutines and the end of a mount
//
// Besides those of go-fuse there are the one that Mount starts, which serves; the
// watcher's; and one for each forgetPages that is under way. When the mount is gone, by
// Unmount or by anybody else, Serve returns. Then, in this order, the helper of
// auto_unmount is ended, the last notices are waited for, the watcher is ended, all
// handles that are still open are given back to the cache, and Wait returns.
//
// # Locks
//
// postponed.mu comes before the locks of the cache, and operation.mu before
// watcher.mu. The others are leaves: those of the tables of handles, dirHandle.mu,
// notifier.mu and nameMap.mu. No lock is held over a call of the kernel or of the server.
package fusefs
