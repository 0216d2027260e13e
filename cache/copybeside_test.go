package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// holdCopy has the server's answer to a copy, or with asked the request itself, wait until release.
func (r *rig) holdCopy(asked bool) (release func()) {
	hold := func(p sftptest.Packet) sftptest.Action {
		if p.Name == "copy-data" || p.Request != nil && p.Request.Name == "copy-data" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	}
	if asked {
		r.tap.OnRequest(hold)
	} else {
		r.tap.OnReply(hold)
	}
	return func() {
		r.tap.OnRequest(nil)
		r.tap.OnReply(nil)
		r.tap.Release()
	}
}

func TestAWriterWaitsForACopyIntoItsFile(t *testing.T) {
	r, src, dst := copyRig(t, strings.Repeat("s", 100_000))
	release := r.holdCopy(false)
	done := make(chan error, 2)
	go func() {
		_, err := r.Copy(ctxOf(t), src, 0, dst, 4096, 90_000)
		done <- err
	}()
	if !r.tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("nothing was copied")
	}
	go func() {
		_, err := dst.Write(ctxOf(t), []byte("header"), 0)
		done <- err
	}()
	release()
	if err := errors.Join(<-done, <-done, dst.Flush(ctxOf(t))); err != nil {
		t.Fatal(err)
	}
	want := "header" + strings.Repeat("\x00", 4090) + strings.Repeat("s", 90_000)
	if got := r.readOpen(dst); got != want {
		t.Errorf("%d bytes are read of %d", len(got), len(want))
	}
	if got := r.remote("dst"); got != want {
		t.Errorf("the server has %d bytes of %d", len(got), len(want))
	}
}

// Nobody can stop a server that copies: what a program that was killed had begun must not go over what is written next.
func TestACopyThatIsGivenUpComesBeforeWhatFollows(t *testing.T) {
	for name, next := range map[string]func(r *rig, dst *Handle) error{
		"a write": func(r *rig, dst *Handle) error {
			_, err := dst.Write(ctxOf(r.t), []byte("header"), 0)
			return err
		},
		"a file with this name": func(r *rig, dst *Handle) error {
			h, _, err := r.Open(ctxOf(r.t), dst.n, syscall.O_WRONLY|syscall.O_TRUNC)
			if err != nil {
				return err
			}
			defer h.Release()
			_, err = h.Write(ctxOf(r.t), []byte("header"), 0)
			return errors.Join(err, h.Flush(ctxOf(r.t)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, src, dst := copyRig(t, strings.Repeat("s", 100_000))
			release := r.holdCopy(true)
			r.giveUp(func(ctx context.Context) error {
				_, err := r.Copy(ctx, src, 0, dst, 0, 90_000)
				return err
			})
			r.comesBehind(release, func() error { return next(r, dst) })
			if err := dst.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			want := "header"
			if name == "a write" {
				want += strings.Repeat("s", 90_000-len("header"))
			}
			if got := r.remote("dst"); got != want {
				t.Errorf("the server has %d bytes of %d", len(got), len(want))
			}
			if got := r.readOpen(dst); got != want {
				t.Errorf("%d bytes are read of %d", len(got), len(want))
			}
		})
	}
}

func TestAFileIsCopiedBesideItsWriter(t *testing.T) {
	r, _, dst := copyRig(t, strings.Repeat("s", 100_000))
	src, _, err := r.Open(ctxOf(t), r.mustFind("src").Node, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Release()
	var late atomic.Bool
	late.Store(true)
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if late.Load() && p.Request != nil && p.Request.Name == "WRITE" {
			return sftptest.Delay(200 * time.Millisecond)
		}
		return sftptest.Pass()
	})
	over := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for off := int64(100_000); ; off += 64 << 10 {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond): // so that something is on its way at all times
			}
			if _, err := src.Write(ctxOf(t), make([]byte, 64<<10), off); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for r.tap.Count("WRITE") < 3 {
		time.Sleep(time.Millisecond)
	}
	copied := make(chan error, 1)
	go func() {
		n, err := r.Copy(ctxOf(t), src, 0, dst, 0, 100_000)
		if n != 100_000 && err == nil {
			err = fmt.Errorf("%d bytes were copied", n)
		}
		copied <- err
	}()
	select {
	case err = <-copied:
	case <-time.After(10 * time.Second):
		err = errors.New("nothing is copied as long as somebody writes")
	}
	close(over)
	writer.Wait()
	late.Store(false)
	if err != nil {
		t.Error(err)
		<-copied
	}
}
