package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// smallDisk mounts a tmpfs of so many bytes over the server's root.
func smallDisk(t *testing.T, s *server, size int) {
	t.Helper()
	needRoot(t)
	must(t, syscall.Mount("sshmount-test", s.root, "tmpfs", 0, fmt.Sprintf("size=%d", size)))
	t.Cleanup(func() { _ = syscall.Unmount(s.root, syscall.MNT_DETACH) })
}

// rescued finds the rescue files with these words in their names, and returns their contents.
func rescued(t *testing.T, state, word string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	_ = filepath.WalkDir(filepath.Join(state, "sshmount", "rescue"), func(path string, d os.DirEntry, err error) error {
		// Beside each file of bytes lies a text that says whose they are.
		if err == nil && d.Type().IsRegular() && strings.Contains(path, word) && !strings.HasSuffix(path, ".txt") {
			b, err := os.ReadFile(path)
			must(t, err)
			found[path] = b
		}
		return nil
	})
	return found
}

// On a full disk the writer is told at close and at fsync, what was acknowledged is on the server, and the rest is saved here.
func TestFullDiskIsReportedAndTheRestSaved(t *testing.T) {
	needRoot(t)
	onlySshmount(t)
	s := newServer(t)
	const disk = 4 << 20
	smallDisk(t, s, disk)
	state := testDir(t, "state")
	m := mountArgs(t, []string{"-F", s.config, s.remote(), mountPoint(t)}, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	})
	content := pseudoRandom(1, 9<<20)
	for _, how := range []string{"close", "fsync"} {
		t.Run(how, func(t *testing.T) {
			f, err := os.Create(m.path("too-big-" + how))
			must(t, err)
			written := 0
			for written < len(content) && err == nil {
				var n int
				n, err = f.Write(content[written:min(written+128<<10, len(content))])
				written += n
			}
			if err == nil && how == "fsync" {
				err = f.Sync()
				// Reported for good to who waited for it; close need not say it again, but may.
				_ = f.Close()
			} else if err == nil {
				err = f.Close()
			} else {
				f.Close()
			}
			wantErrno(t, "a file bigger than the disk", err, syscall.ENOSPC)

			// Every byte that was taken from the program is on the server or in a rescue file, at its place.
			onServer := []byte(read(t, s.local("too-big-"+how)))
			saved := rescued(t, state, "too-big-"+how)
			if len(saved) == 0 {
				t.Fatalf("no rescue file; under %s there is:\n%s", state, run(t, "", "find", state))
			}
			covered := coverage(content[:written], onServer, saved)
			if covered != written {
				t.Errorf("%d bytes were taken; %d of them are on the server or rescued; rescue files: %s", written, covered, strings.TrimSpace(run(t, "", "find", state, "-type", "f", "-size", "+0")))
			}
			for path := range saved {
				if !strings.Contains(m.logText(), path) {
					t.Errorf("the log does not name the rescue file %s", path)
				}
			}
			must(t, os.Remove(m.path("too-big-"+how)))
		})
	}
	out, err := commandEnv(programLimit, "", programEnv(), nil, binary, "status", m.point)
	must(t, err)
	if !strings.Contains(out, "rescue") {
		t.Errorf("status does not tell of the rescue files:\n%s", out)
	}
	// The mount works on.
	write(t, m.path("small"), "fits")
	wantContent(t, s.local("small"), "fits")
	// Its end says that not all was saved.
	run(t, "", "fusermount3", "-u", m.point)
	<-m.ended
	if m.exit == nil {
		t.Error("the process ended with status 0, although bytes were left in the rescue files")
	}
}

// coverage counts the bytes of content that are at their place on the server or anywhere in the rescue files.
func coverage(content, onServer []byte, saved map[string][]byte) int {
	const piece = 4096
	n := 0
	for off := 0; off < len(content); off += piece {
		p := content[off:min(off+piece, len(content))]
		found := off+len(p) <= len(onServer) && bytes.Equal(p, onServer[off:off+len(p)])
		for _, b := range saved {
			if found {
				break
			}
			found = bytes.Contains(b, p)
		}
		if found {
			n += len(p)
		}
	}
	return n
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
