package cache

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestWritesBesideRefusedTruncationsAreNotLost(t *testing.T) {
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.tap.SetDelay(time.Millisecond)
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	stop := make(chan struct{})
	var truncations sync.WaitGroup
	for range 2 {
		truncations.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := r.Open(ctxOf(t), f.Node, syscall.O_WRONLY|syscall.O_TRUNC); err == nil {
					t.Error("the opening was not refused")
					return
				}
			}
		})
	}
	want := ""
	for i := range 50 {
		line := fmt.Sprintf("line %d\n", i)
		if _, err := h.Write(ctxOf(t), []byte(line), int64(len(want))); err != nil {
			t.Error(err)
			break
		}
		if err := h.Flush(ctxOf(t)); err != nil {
			t.Error(err)
			break
		}
		want += line
	}
	close(stop)
	truncations.Wait()
	if got := r.remote("f"); got != want {
		t.Errorf("every write and close succeeded, no truncation did, and the server has %q", got)
	}
}

func TestARefusedTruncationLosesNobodysBytes(t *testing.T) {
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctxOf(t), []byte("hello"), 0); err != nil {
		t.Fatal(err)
	}
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" || p.Name == "SETSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	if _, _, err := r.Open(ctxOf(t), f.Node, syscall.O_WRONLY|syscall.O_TRUNC); err == nil {
		t.Error("the opening was not refused")
	}
	size := uint64(0)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Size: &size}); err == nil {
		t.Error("the truncation was not refused")
	} else {
		wantErrno(t, err, syscall.EACCES)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	h.Release()
	if got := r.remote("f"); got != "hello" {
		t.Errorf("the server has %q", got)
	}
}
