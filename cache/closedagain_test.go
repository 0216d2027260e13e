package cache

import (
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn"
)

// A closed file asks for the mtime of what was written, which a look at its name may have told meanwhile: when the line is lost then, it is
// found again as it was written, not as it was opened.
func TestAFileThatIsClosedIsFoundAgainAsItWasWritten(t *testing.T) {
	var log safeLog
	r := newRigOver(t, sftpconn.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(o *Options) { o.SyncWrites = true })
	r.put("f", "before ")
	n := r.mustFind("f").Node
	h, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(h, "what is written")
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.holdReply("FSTAT")
	h.Release()
	r.waitHeld()
	r.statAgain(n)
	r.srv.Cut()
	r.learnt(n)
	waitFor(t, "the handle is given back", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(n.file.writing) == 0
	})
	if said := log.String(); strings.Contains(said, "could not be found again") {
		t.Errorf("the log:\n%s", said)
	}
}
