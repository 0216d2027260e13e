package cache

import (
	"bytes"
	"encoding/binary"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// What is made next is compared with it by make, and has a time of the server's clock.
func TestWhatTheServerHasNotToldYetHasATimeOfItsClock(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Async = true })
	r.put("f", "content")
	n := r.mustFind("f").Node
	r.list(r.Root())
	h := r.opened(n, syscall.O_RDWR)
	const ahead = 10 * time.Hour
	r.learnClock(session.Attr{Flags: session.HasTimes, Mtime: uint32(time.Now().Add(ahead).Unix())}, time.Now())
	wantAhead := func(what string, a Attr) {
		t.Helper()
		if d := time.Until(time.Unix(a.Mtime, 0)); d < ahead-time.Minute || d > ahead+time.Minute {
			t.Errorf("%s has a time %v ahead of now, want %v", what, d, ahead)
		}
	}
	r.holdRequests("MKDIR", "WRITE")
	defer func() {
		r.tap.OnRequest(nil)
		r.tap.Release()
	}()
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	wantAhead("a new directory", d.Attr)
	r.fill(h, "CONTENT")
	r.mu.Lock()
	file, root := r.shown(n), r.shown(r.root)
	r.mu.Unlock()
	wantAhead("a file that is being written", file)
	wantAhead("the directory that has a new name", root)
}

func TestTheServersClockIsLearntFromAWrite(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	h := r.opened(r.mustFind("f").Node, syscall.O_RDWR)
	r.clock.Store(int64(time.Hour))
	r.onReplyBehind(nil)
	r.fill(h, "CONTENT")
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if ahead := r.clockAhead(); ahead.Abs() > clockBlur*time.Second {
		t.Errorf("the server's clock is taken to be %v ahead", ahead)
	}
}

// The server tells whole seconds, so that its clock seems to be now more and now less ahead. make takes what has an earlier time to be older.
func TestWhatIsTouchedLaterHasNoEarlierTime(t *testing.T) {
	aheads := []time.Duration{10*time.Hour + time.Second/2, 2500 * time.Millisecond, -2500 * time.Millisecond, -10*time.Hour - time.Second/3}
	caches, last := make([]Cache, len(aheads)), make([]int64, len(aheads))
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for i, ahead := range aheads {
			c := &caches[i]
			sent := time.Now()
			written := sent.Add(ahead).Unix()
			c.learnClock(session.Attr{Flags: session.HasTimes, Mtime: uint32(written)}, sent)
			touched := c.ChangeTime().Unix()
			if touched < last[i] {
				t.Errorf("with a clock %v ahead what is touched has a time %d s before that of what was touched before", ahead, last[i]-touched)
			}
			last[i] = touched
		}
	}
}

// As on NTFS, where a file may keep its time until it is closed.
func TestTheServersClockIsNotLearntFromATimeThatTheWriteHasNotChanged(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content") // an hour ago
	found := r.mustFind("f")
	h := r.opened(found.Node, syscall.O_RDWR)
	r.onReplyBehind(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "FSTAT" {
			return sftptest.Pass()
		}
		body := bytes.Clone(p.Body)
		binary.BigEndian.PutUint32(body[len(body)-4:], uint32(found.Attr.Mtime))
		return sftptest.ReplaceBody(body)
	})
	r.fill(h, "CONTENT")
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if ago := time.Since(r.ChangeTime()); ago > time.Minute {
		t.Errorf("what is touched gets a time %v ago", ago)
	}
}

// An answer that took long tells little of the server's clock, and what was written here must not look like another's.
func TestASlowAnswerDoesNotSetTheClock(t *testing.T) {
	r := newRig(t, nil)
	r.learnClock(session.Attr{Flags: session.HasTimes, Mtime: uint32(time.Now().Unix())}, time.Now())
	before := r.clockAhead()
	r.learnClock(session.Attr{Flags: session.HasTimes, Mtime: uint32(time.Now().Add(-10 * time.Second).Unix())}, time.Now().Add(-11*time.Second))
	if now := r.clockAhead(); now != before {
		t.Errorf("the server's clock went from %v to %v ahead", before, now)
	}
}
