package cache

import (
	"syscall"
	"testing"
)

// seenToGrow opens a log twice, and has it seen that it has grown since.
func (r *rig) seenToGrow() (n *Node, readers []*Handle) {
	r.t.Helper()
	r.put("log", "one\n")
	n = r.mustFind("log").Node
	readers = []*Handle{r.opened(n, syscall.O_RDONLY), r.opened(n, syscall.O_RDONLY)}
	r.put("log", "one\ntwo\n")
	r.statAgain(n)
	return n, readers
}

// The server is asked about a file by one of its handles only.
func TestEachReaderOfAFileSeenToGrowFindsItAgain(t *testing.T) {
	r := newRig(t, nil)
	n, readers := r.seenToGrow()
	r.srv.Cut()
	for i, h := range readers {
		n.file.data.Drop()
		if got, err := r.readFrom(h, 0, 100); err != nil || got != "one\ntwo\n" {
			t.Errorf("reader %d reads %q after a cut (%v)", i, got, err)
		}
	}
}

// Two files may look the same, and one of them grow: what is taken for the one that has grown without being asked is not kept for who opens
// that by its name.
func TestAReaderThatWasNotAskedIsNotKeptForTheNextOpen(t *testing.T) {
	r := newRig(t, nil)
	_, readers := r.seenToGrow()
	r.mu.Lock()
	defer r.mu.Unlock()
	if readers[0].unsure == readers[1].unsure {
		t.Errorf("both readers are unsure, or neither: %v", readers[0].unsure)
	}
}

// One that was opened when the file had grown has found it as it is, and is no reason to take another for the same.
func TestAReaderOfAnotherFileIsNotFoundAgainAsTheOneThatGrew(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old, rotated away")
	n := r.mustFind("log").Node
	rotated := r.opened(n, syscall.O_RDONLY)
	r.replace("log", "one\n")
	r.openedByName("log", syscall.O_RDONLY) // of the file that has just got its name
	r.put("log", "one\ntwo\n")
	r.statAgain(n)
	r.srv.Cut()
	n.file.data.Drop()
	_, err := r.readFrom(rotated, 0, 100)
	wantErrno(t, err, syscall.ESTALE)
}
