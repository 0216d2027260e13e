package cache

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
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

// internal-sftp with -P fstat, for example.
func TestACopyThatTheServerDeniesIsReadAndWritten(t *testing.T) {
	for _, denied := range []string{"copy-data", "FSTAT"} {
		r, src, dst := copyRig(t, strings.Repeat("s", 8<<20))
		r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
			if p.Name == denied {
				return sftptest.Answer(session.StatusPermissionDenied, "no")
			}
			return sftptest.Pass()
		})
		_, err := r.Copy(ctxOf(t), src, 0, dst, 0, 8<<20)
		wantErrno(t, err, syscall.EOPNOTSUPP)
	}
}

func TestCopyOnTheServer(t *testing.T) {
	r := newRig(t, nil)
	content := strings.Repeat("0123456789", 100_000)
	src := r.create(r.Root(), "src", "")
	sh, _, err := r.Open(ctxOf(t), src.Node, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer sh.Release()
	// Not acknowledged yet when the copy is asked for.
	if _, err := sh.Write(ctxOf(t), []byte(content), 0); err != nil {
		t.Fatal(err)
	}
	f, dh, err := r.Create(ctxOf(t), r.Root(), "dst", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.Copy(ctxOf(t), sh, 0, dh, 0, 1<<40)
	if err != nil {
		wantErrno(t, err, syscall.EOPNOTSUPP)
		dh.Release()
		t.Skip("this sftp-server has no copy-data (it came with OpenSSH 9.0)")
	}
	if n != int64(len(content)) {
		t.Errorf("%d bytes were copied of %d", n, len(content))
	}
	if n, err = r.Copy(ctxOf(t), sh, 10, dh, int64(len(content)), 5); n != 5 || err != nil {
		t.Errorf("second piece: %d, %v", n, err)
	}
	if a, _, err := r.Getattr(ctxOf(t), f.Node, dh); err != nil || a.Size != uint64(len(content)+5) {
		t.Errorf("size %d, %v", a.Size, err)
	}
	if got := r.readOpen(dh); got != content+"01234" {
		t.Error("the copy reads otherwise")
	}
	if err := dh.Flush(ctxOf(t)); err != nil {
		t.Error(err)
	}
	dh.Release()
	if r.remote("dst") != content+"01234" {
		t.Error("the copy on the server is another")
	}
}
