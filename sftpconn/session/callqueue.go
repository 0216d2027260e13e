package session

// callQueue is a first-in first-out queue, guarded by Session.mu.
type callQueue struct {
	calls []*Call
	head  int
}

func (q *callQueue) push(c *Call) {
	if q.head == len(q.calls) {
		q.calls, q.head = q.calls[:0], 0
	} else if q.head > 64 && q.head > len(q.calls)/2 {
		n := copy(q.calls, q.calls[q.head:])
		clear(q.calls[n:])
		q.calls, q.head = q.calls[:n], 0
	}
	q.calls = append(q.calls, c)
}

// pop takes the oldest call; nil where there is none.
func (q *callQueue) pop() *Call {
	if q.head == len(q.calls) {
		return nil
	}
	c := q.calls[q.head]
	q.calls[q.head] = nil
	q.head++
	return c
}
