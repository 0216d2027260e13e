// Package fusefs is the kernel's side of a mount: it turns the requests that
// the kernel sends over /dev/fuse into calls of package cache, and answers with
// attributes, bytes and errno values as programs expect them.
//
// # One tree
//
// The package keeps no nodes of its own. A FUSE node id is a cache.Node's ID,
// and the kernel's look-up counts are that node's references: every reply that
// carries a node takes one (the cache counts it when it returns a cache.Found),
// FORGET gives them back. What is kept here are the open handles, by the number
// that the kernel has for them.
//
// # Who may wait for whom
//
// A request may wait for the network for minutes, and the kernel meanwhile holds
// locks of the directory or the pages that the request is about. So the kernel
// is never told to forget something (a notification takes the same locks) from
// within a request: notifications go through queues with goroutines of their own
// (notify.go). Two exceptions are safe, for reasons told at each: forgetSize names
// no pages and so waits for no lock, and forgetPages is not waited for any longer
// than reads under way may take. For the same reason a process that serves a mount
// must never use files below it.
//
// # Interrupts
//
// The kernel says once that a waiting program got a signal, and not which one.
// Go programs get several a second (SIGURG), others are told of a resized window
// or a dead child; a file operation that failed with EINTR because of these would
// break programs that never saw it on a local disk. So an interrupt only makes us
// look whether the program is being killed or asked to stop (interrupt.go).
package fusefs
