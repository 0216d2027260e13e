package tests

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// When close or fsync has returned, the bytes are on the server.
func TestBytesAreOnTheServerAfterClose(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	for i := range 40 {
		content := string(pseudoRandom(uint64(i), 1+i*i*311))
		f, err := os.Create(m.path("f"))
		must(t, err)
		_, err = f.WriteString(content)
		must(t, err)
		if i%2 == 0 {
			must(t, f.Sync())
			wantContent(t, s.local("f"), content)
		}
		must(t, f.Close())
		wantContent(t, s.local("f"), content)
	}
	// Each close(2) of a duplicate waits too.
	f, err := os.Create(m.path("g"))
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("by a duplicate")
	must(t, err)
	duplicate, err := syscall.Dup(int(f.Fd()))
	must(t, err)
	must(t, syscall.Close(duplicate))
	wantContent(t, s.local("g"), "by a duplicate")
}

// With sshfs_sync each write is there when it returns.
func TestSyncWritesAreOnTheServerAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount("-o", "sshfs_sync")
	f, err := os.Create(m.path("f"))
	must(t, err)
	defer f.Close()
	want := ""
	for i := range 20 {
		piece := fmt.Sprintf("piece %d ", i)
		_, err := f.WriteString(piece)
		must(t, err)
		want += piece
		wantContent(t, s.local("f"), want)
	}
}

// A file removed on the server while it is written stays a file for its writer, and one removed before the line broke
// is rescued. Here: the whole directory goes, and nothing hangs.
func TestFileRemovedOnTheServerWhileWritten(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	must(t, os.Mkdir(m.path("d"), 0o755))
	f, err := os.Create(m.path("d/f"))
	must(t, err)
	_, err = f.Write(pseudoRandom(1, 1<<20))
	must(t, err)
	must(t, os.RemoveAll(s.local("d")))
	_, err = f.Write(pseudoRandom(2, 1<<20))
	must(t, err)
	must(t, within(t, 30*time.Second, "fsync and close", func() error {
		if err := f.Sync(); err != nil {
			return err
		}
		return f.Close()
	}))
}

func TestSIGTERMDrainsAndUnmounts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		m := s.mountPart(t, "")
		name := fmt.Sprintf("f%d", sig)
		f, err := os.Create(m.path(name))
		must(t, err)
		content := string(pseudoRandom(1, 20<<20))
		_, err = f.WriteString(content)
		must(t, err)
		if sig == syscall.SIGTERM {
			// The file is still open then: it must not keep the process from ending.
			defer f.Close()
		} else {
			f.Close()
		}
		must(t, m.cmd.Process.Signal(sig))
		select {
		case <-m.ended:
		case <-time.After(60 * time.Second):
			t.Fatalf("60 s after %v the process is still there", sig)
		}
		if len(mountsUnder(m.point)) != 0 {
			t.Errorf("after %v the mount is still there", sig)
		}
		if !standIn {
			if code := m.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("after %v: %v", sig, m.exit)
			}
			wantContent(t, s.local(name), content)
		}
	}
}

// A lazy unmount while a file is written: the writer goes on, and all it wrote arrives.
func TestLazyUnmountWhileAFileIsOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	f, err := os.Create(m.path("f"))
	must(t, err)
	_, err = f.WriteString("before ")
	must(t, err)
	run(t, "", "fusermount3", "-u", "-z", m.point)
	_, err = f.WriteString("after")
	must(t, err)
	must(t, f.Close())
	m.waitEnd(0)
	wantContent(t, s.local("f"), "before after")
}
