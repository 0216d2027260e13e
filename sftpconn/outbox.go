package sftpconn

import "context"

// outbox counts the WRITEs of a file on their way to the server. Guarded by File.mu.
type outbox struct {
	asked  int64         // bytes with which WriteAt and WriteSetstat were called in all
	unsent int64         // of these, bytes that are not queued in a session yet
	sent   uint64        // number of WRITEs that were queued in a session
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

// sentWrite notes that a WRITE through h was queued in its session. first is how many of its bytes are sent for the first time.
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

// unaskWrite notes that n bytes which were asked for are not going to be sent, because that has failed.
func (f *File) unaskWrite(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.unsent -= int64(n)
	f.out.wake()
}

// lockSent waits until asked bytes in all were given to WriteAt and WriteSetstat, and all of them are sent. Then it returns true, with mu
// held. Where until is closed or ctx ends first it returns false, without mu.
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
