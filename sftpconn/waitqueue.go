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
	order uint64 // place in the queue (see nextOrder). All parts of a read or write have the same: those of an earlier one go first
	of    *File  // whose bytes they are; may be nil
	waits func() // called when it is queued, if it has to wait; may be nil
}

// asked counts the reads and writes that were asked for, of all files and connections.
var asked atomic.Uint64

// nextOrder returns the want.order of a read or write that is asked for now.
func nextOrder() uint64 { return asked.Add(1) }

func (w *want) place() uint64 { return w.order }

// inLine queues e behind everything that was asked for before.
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

// add counts n more grants of f, which may be nil.
func (u underWay) add(f *File, n int) {
	if f == nil {
		return
	}
	if u[f] += n; u[f] == 0 {
		delete(u, f)
	}
}

// waitQueue holds waiters in the order of want.order.
type waitQueue []*waiter

// take removes and returns the first waiter whose file has nothing in flight; where there is none, the first waiter; nil where nobody
// waits. Without that preference a small file would wait behind everything that a copy has asked for before, which may take minutes on a
// slow line.
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
