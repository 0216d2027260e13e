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

// Where the bytes that can't be delivered can't be rescued either, the writer, the log and the mount's status say so, and
// the mount works on.
func TestFullDiskHereToo(t *testing.T) {
	needRoot(t)
	onlySshmount(t)
	s := newServer(t)
	smallDisk(t, s, 1<<20)
	state := testDir(t, "state")
	must(t, syscall.Mount("sshmount-test", state, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
	m := mountArgs(t, []string{"-F", s.config, s.remote(), mountPoint(t)}, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	})
	content := pseudoRandom(3, 3<<20)
	err := os.WriteFile(m.path("big"), content, 0o644)
	wantErrno(t, "a file bigger than the disk", err, syscall.ENOSPC)
	if log := read(t, m.log); !strings.Contains(log, "big") || !strings.Contains(log, "no space left on device") {
		t.Errorf("the log does not say that bytes are lost:\n%s", log)
	}
	out, err := sshmount(t, "status", m.point)
	must(t, err)
	if !strings.Contains(out, "big") {
		t.Errorf("status does not tell of the loss:\n%s", out)
	}
	if !strings.Contains(out, " pieces are lost") {
		t.Errorf("status tells of each piece:\n%s", out)
	}
	// A piece that is small enough may be kept; nothing else may look as if it were.
	kept := rescued(t, state, "big")
	if len(kept) > 1 || len(kept) == 0 && strings.Contains(out, "is kept in") {
		t.Errorf("%d files are kept; status says:\n%s", len(kept), out)
	}
	for name, got := range kept {
		var n, at int
		_, line, _ := strings.Cut(read(t, name+".txt"), "  ")
		if _, err := fmt.Sscanf(line, "%d bytes at offset %d", &n, &at); err != nil || at+n != len(got) || !bytes.Equal(got[at:], content[at:at+n]) {
			t.Errorf("%s has %d bytes, and does not hold what its list says (%v):\n%s", name, len(got), err, line)
		}
	}
	must(t, os.Remove(m.path("big")))
	eventually(t, 10*time.Second, "the server has closed the file, too, and has room again", func() (bool, string) {
		var st syscall.Statfs_t
		err := syscall.Statfs(s.root, &st)
		return err == nil && st.Bavail > 0, fmt.Sprint(err)
	})
	write(t, m.path("small"), "fits")
	wantContent(t, s.local("small"), "fits")
	run(t, "", "umount", m.point)
	m.waitEnd(15) // not all is saved
}
