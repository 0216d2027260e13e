package sftpconn

import (
	"slices"
	"sync/atomic"
)

// want says what acquire is asked for.
type want struct {
	n     int    // bytes
	whole bool   // all of them; else as many as one request should carry by then
	ahead bool   // nobody waits for it
	order uint64 // of what it is a part of (see nextOrder): the rest of what was asked for first goes first
	of    *File  // whose bytes they are; may be nil
	waits func() // called where it has to wait, once it is in line; may be nil
}

// asked counts the reads and writes that were asked for, of whichever file and connection.
var asked atomic.Uint64

// nextOrder is the want.order of what is asked for now.
func nextOrder() uint64 { return asked.Add(1) }

func (w *want) place() uint64 { return w.order }

// inLine puts e behind all that was asked for before.
func inLine[E interface{ place() uint64 }](queue []E, e E) []E {
	at := len(queue)
	for at > 0 && queue[at-1].place() > e.place() {
		at--
	}
	return slices.Insert(queue, at, e)
}

// waiter is a call of acquire that waits. Guarded by pacer.mu.
type waiter struct {
	want
	ready chan grant // capacity 1; closed without a grant when the link is over
	gone  bool       // its ctx has ended, and take passes over it
}

// underWay counts the grants of each file that are not released. Guarded by pacer.mu.
type underWay map[*File]int

// add takes n grants more of a file into account, which may be nil.
func (u underWay) add(f *File, n int) {
	if f == nil {
		return
	}
	if u[f] += n; u[f] == 0 {
		delete(u, f)
	}
}

// waitQueue is in the order in which its waiters are served: that of want.order.
type waitQueue []*waiter

// take gives the first who still waits for a file of which nothing is in flight, or else the first who still waits; nil where there is
// none. What is read ahead of a copy may take a slow line minutes, and was asked for before what somebody wants of another file meanwhile.
func (q *waitQueue) take(of underWay) *waiter {
	*q = slices.DeleteFunc(*q, func(w *waiter) bool { return w.gone })
	if len(*q) == 0 {
		return nil
	}
	at := max(0, slices.IndexFunc(*q, func(w *waiter) bool { return w.of != nil && of[w.of] == 0 }))
	w := (*q)[at]
	*q = slices.Delete(*q, at, at+1)
	return w
}
