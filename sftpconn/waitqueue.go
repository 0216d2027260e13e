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
	order uint64 // of what it is a part of: the rest of what was asked for first goes first; 0 where it is asked for now (see nextOrder)
	waits func() // called where it has to wait, once it is in line; may be nil
}

// asked counts the reads and writes that were asked for, of whichever file and connection.
var asked atomic.Uint64

// nextOrder is the want.order of what is asked for now.
func nextOrder() uint64 { return asked.Add(1) }

// waiter is a call of acquire that waits. Guarded by pacer.mu.
type waiter struct {
	want
	ready chan grant // capacity 1; closed without a grant when the link is over
	gone  bool       // its ctx has ended, and take passes over it
}

// waitQueue is in the order in which its waiters are served: that of want.order.
type waitQueue []*waiter

// add puts w behind all that was asked for before.
func (q *waitQueue) add(w *waiter) {
	at := len(*q)
	for at > 0 && (*q)[at-1].order > w.order {
		at--
	}
	*q = slices.Insert(*q, at, w)
}

// take gives the first who still waits; nil where there is none.
func (q *waitQueue) take() *waiter {
	for len(*q) > 0 {
		w := (*q)[0]
		(*q)[0] = nil
		*q = (*q)[1:]
		if !w.gone {
			return w
		}
	}
	return nil
}
