package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// copyRig is a rig with two open files, src with a content and dst, empty.
func copyRig(t *testing.T, content string) (r *rig, src, dst *Handle) {
	t.Helper()
	r = newRig(t, nil)
	r.put("src", content)
	r.put("dst", "")
	if !r.conn.Has("copy-data") {
		t.Skip("this sftp-server has no copy-data (it came with OpenSSH 9.0)")
	}
	open := func(name string, flags uint32) *Handle {
		h, _, err := r.Open(ctxOf(t), r.mustFind(name).Node, flags)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Release)
		return h
	}
	return r, open("src", syscall.O_RDONLY), open("dst", syscall.O_RDWR)
}

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
			h, _, err := r.Open(ctxOf(r.t), dst.Node(), syscall.O_WRONLY|syscall.O_TRUNC)
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

func TestACopyCountsWhatTheSourceStillHas(t *testing.T) {
	r, src, dst := copyRig(t, strings.Repeat("s", 100_000))
	if err := os.Truncate(filepath.Join(r.dir, "src"), 10); err != nil {
		t.Fatal(err)
	}
	n, err := r.Copy(ctxOf(t), src, 0, dst, 0, 100_000)
	if err != nil || n != 10 {
		t.Errorf("%d bytes are said to be copied, 10 are there; %v", n, err)
	}
	if n, err = r.Copy(ctxOf(t), src, 10, dst, 10, 99_990); n != 0 || err != nil {
		t.Errorf("behind the end of the source: %d, %v", n, err)
	}
	if got := r.readOpen(dst); got != "ssssssssss" {
		t.Errorf("the copy has %d bytes", len(got))
	}
}

func TestACopyIsOneFlight(t *testing.T) {
	r, src, dst := copyRig(t, strings.Repeat("s", 100_000))
	r.costs("a copy on the server", 1, func() {
		if n, err := r.Copy(ctxOf(t), src, 0, dst, 0, 100_000); n != 100_000 || err != nil {
			t.Error(n, err)
		}
	})
}

func TestLittleThatIsHereIsCopiedInTheFlightOfTheClose(t *testing.T) {
	content := strings.Repeat("s", 20_000)
	r, src, dst := copyRig(t, content) // small files come with their opening
	r.costs("a copy of what is here, and its close", 1, func() {
		if n, err := r.Copy(ctxOf(t), src, 100, dst, 50, 1<<30); n != 19_900 || err != nil {
			t.Error(n, err)
		}
		if n, err := r.Copy(ctxOf(t), src, 20_000, dst, 19_950, 1<<30); n != 0 || err != nil {
			t.Error("at the end of the source:", n, err)
		}
		if err := dst.Flush(ctxOf(t)); err != nil {
			t.Error(err)
		}
	})
	if got := r.remote("dst"); got != strings.Repeat("\x00", 50)+content[100:] {
		t.Errorf("the copy has %d bytes", len(got))
	}
}

func TestUnacknowledgedBytesAreCopiedWithoutTheServer(t *testing.T) {
	r, _, dst := copyRig(t, "")
	src, _, err := r.Open(ctxOf(t), r.mustFind("src").Node, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Release()
	if _, err := src.Write(ctxOf(t), []byte("just written"), 0); err != nil {
		t.Fatal(err)
	}
	r.costs("a copy of bytes that are on their way", 0, func() {
		if n, err := r.Copy(ctxOf(t), src, 0, dst, 0, 1<<30); n != 12 || err != nil {
			t.Error(n, err)
		}
	})
	if got := r.readOpen(dst); got != "just written" {
		t.Errorf("the copy reads %q", got)
	}
}

// What is not here is the server's to copy: no byte crosses the line for it.
func TestWhatIsNotHereIsCopiedByTheServer(t *testing.T) {
	r, src, dst := copyRig(t, strings.Repeat("s", 8<<20))
	v, err := src.Read(ctxOf(t), 0, 4096)
	if err != nil {
		t.Fatal(err)
	}
	v.Release()
	r.tap.Reset()
	if n, err := r.Copy(ctxOf(t), src, 6<<20, dst, 0, 60_000); n != 60_000 || err != nil {
		t.Error(n, err)
	}
	if c, w := r.tap.Count("copy-data"), r.tap.Count("WRITE"); c != 1 || w != 0 {
		t.Errorf("%d copies and %d WRITEs", c, w)
	}
}

// A program that takes a file's name away and writes the file anew copies from one handle of the path to another.
func TestWhatTheServerDoesNotCopyIsReadAndWritten(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", strings.Repeat("s", 8<<20))
	src, _, err := r.Open(ctxOf(t), r.mustFind("f").Node, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Release()
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	_, dst, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Release()
	if n, err := r.Copy(ctxOf(t), src, 0, dst, 0, 8<<20); err == nil {
		if n != 8<<20 {
			t.Errorf("%d bytes are said to be copied", n)
		}
	} else {
		wantErrno(t, err, syscall.EOPNOTSUPP) // and the kernel reads and writes
	}
}
