package sftpconn

// want says what acquire is asked for.
type want struct {
	n     int  // bytes
	whole bool // all of them; else as many as one request should carry by then
	ahead bool // nobody waits for it
	next  bool // the rest of what has begun: it goes before those who have not
}

// waiter is a call of acquire that waits. Guarded by pacer.mu.
type waiter struct {
	want
	ready chan grant // capacity 1; closed without a grant when the link is over
	gone  bool       // its ctx has ended, and take passes over it
}

// waitQueue is in the order in which its waiters are served.
type waitQueue []*waiter

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
