package sftpconn

import "context"

// outbox counts the WRITEs of a file on their way to the sessions. Guarded by File.mu.
type outbox struct {
	asked  int64         // bytes that WriteAt and WriteSetstat were ever called with
	unsent int64         // of these, bytes not handed to a session yet
	sent   uint64        // counts the WRITEs handed to sessions
	flying int           // of these, those that are not answered
	moved  chan struct{} // closed at the next change of asked or unsent; nil where nobody waits
}

func (o *outbox) wake() {
	if o.moved != nil {
		close(o.moved)
		o.moved = nil
	}
}

// askWrite notes that n bytes are to be written.
func (f *File) askWrite(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.asked += int64(n)
	f.out.unsent += int64(n)
	f.out.wake()
}

// sentWrite notes a WRITE through h that is in its session's queue. first is how many of its bytes are sent for the first time.
func (f *File) sentWrite(h *handle, first int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.sent++
	f.out.flying++
	h.writes++
	f.out.unsent -= int64(first)
	h.unstored = true
	f.out.wake()
}

// endedWrite notes that a WRITE through h is answered, or lost.
func (f *File) endedWrite(h *handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.flying--
	h.writes--
}

// unaskWrite notes that the last n bytes asked for are not written: what sends them has failed.
func (f *File) unaskWrite(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.unsent -= int64(n)
	f.out.wake()
}

// lockSent takes mu when asked bytes were given to WriteAt and WriteSetstat in all and each of them is sent; false, without mu,
// where until is closed or ctx ends first.
func (f *File) lockSent(ctx context.Context, until <-chan struct{}, asked int64) bool {
	for {
		f.mu.Lock()
		if f.out.asked >= asked && f.out.unsent == 0 {
			return true
		}
		if f.out.moved == nil {
			f.out.moved = make(chan struct{})
		}
		moved := f.out.moved
		f.mu.Unlock()
		select {
		case <-moved:
		case <-until:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
