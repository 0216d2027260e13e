package mountpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// checkVariable makes this program check the mount point that it holds, in
// place of the tests: another user's view needs another process.
const checkVariable = "SSHMOUNT_TEST_CHECK"

func TestMain(m *testing.M) {
	if name := os.Getenv(checkVariable); name != "" {
		if _, err := Check(name, Options{}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// refused checks a mount point that won't do.
func refused(t *testing.T, name string, o Options, words ...string) {
	t.Helper()
	_, err := Check(name, o)
	var place *Error
	if !errors.As(err, &place) {
		t.Fatalf("%s: error %v, want a refusal", name, err)
	}
	for _, w := range append(words, name) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
}

func TestWrongMountPoints(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	refused(t, filepath.Join(dir, "missing"), Options{}, "does not exist", "mkdir")
	refused(t, filepath.Join(dir, "missing", "below"), Options{}, "does not exist")
	refused(t, file, Options{}, "not a directory")
	refused(t, filepath.Join(file, "below"), Options{}, "not a directory")
	refused(t, dir, Options{}, "not empty", "nonempty")
	refused(t, loop, Options{}, "symbolic links")
}

func TestGoodMountPoints(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("empty", link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, name := range []string{empty, empty + "/", link, "empty", "./link/"} {
		if removed, err := Check(name, Options{}); err != nil || removed != "" {
			t.Errorf("%s: %q, %v", name, removed, err)
		}
		if path, err := Resolve(name); err != nil || path != empty {
			t.Errorf("%s is %q, %v; want %s", name, path, err, empty)
		}
	}
	if _, err := Check(dir, Options{NonEmpty: true}); err != nil {
		t.Errorf("nonempty: %v", err)
	}
}

func TestAnotherUsersDirectoryIsRefused(t *testing.T) {
	dir, check := asNobody(t)
	for what, perm := range map[string]os.FileMode{"can't be written": 0o755, "shared directory": 0o777 | os.ModeSticky} {
		place := filepath.Join(dir, perm.String())
		if err := errors.Join(os.Mkdir(place, 0o755), os.Chmod(place, perm)); err != nil {
			t.Fatal(err)
		}
		if says, err := check(place); err == nil || !strings.Contains(says, what) || !strings.Contains(says, place) {
			t.Errorf("%v: %v, says %q; want %q", perm, err, says, what)
		}
	}
}

// deadMount makes a FUSE mount that nobody serves.
func deadMount(t *testing.T, fstype string) string {
	t.Helper()
	point, fuse := bareMount(t, fstype)
	unix.Close(fuse)
	return point
}

// bareMount is a mount whose kernel side is the test's: what it asks can be read from fuse.
func bareMount(t *testing.T, fstype string) (point string, fuse int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can make a mount without a program behind it")
	}
	fuse, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("there is no FUSE on this machine: %v", err)
	}
	point = t.TempDir()
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse)
	if err := unix.Mount("host:/dir", point, fstype, unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		unix.Close(fuse)
		t.Skipf("mounting is not allowed here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(point, unix.MNT_DETACH) })
	return point, fuse
}

func TestDeadMountsOfOurKindAreTakenAway(t *testing.T) {
	for _, fstype := range []string{"fuse.sshmount", "fuse.sshfs"} {
		point := deadMount(t, fstype)
		if kind, source, ok := Mounted(point); !ok || kind != fstype || source != "host:/dir" {
			t.Errorf("the table says %q from %q, %v", kind, source, ok)
		}
		removed, err := Check(point, Options{})
		if err != nil || removed != "host:/dir" {
			t.Errorf("%s: %q, %v", fstype, removed, err)
		}
		if _, _, ok := Mounted(point); ok {
			t.Errorf("%s: the mount is still there", fstype)
		}
	}
}

// The process was killed, and the last of it goes when it has been asked already.
func TestAMountThatDiesWhileItIsAskedIsTakenAway(t *testing.T) {
	point, fuse := bareMount(t, "fuse.sshmount")
	request := make([]byte, 256<<10)
	if _, err := unix.Read(fuse, request); err != nil {
		t.Fatal(err)
	}
	// fuse_out_header and fuse_init_out of linux/fuse.h, with the version alone.
	answer := binary.NativeEndian.AppendUint32(nil, 16+64)
	answer = append(append(answer, 0, 0, 0, 0), request[8:16]...)
	answer = binary.NativeEndian.AppendUint32(answer, 7)
	answer = binary.NativeEndian.AppendUint32(answer, 31)
	if _, err := unix.Write(fuse, append(answer, make([]byte, 56)...)); err != nil {
		t.Fatal(err)
	}
	type result struct {
		removed string
		err     error
	}
	done := make(chan result, 1)
	go func() {
		removed, err := Check(point, Options{})
		done <- result{removed, err}
	}()
	if _, err := unix.Read(fuse, request); err != nil {
		t.Fatal(err)
	}
	unix.Close(fuse)
	if r := <-done; r.err != nil || r.removed != "host:/dir" {
		t.Errorf("%q, %v", r.removed, r.err)
	}
	if _, _, ok := Mounted(point); ok {
		t.Error("the mount is still there")
	}
}

func TestDeadMountOfAnotherKindIsNamed(t *testing.T) {
	point := deadMount(t, "fuse.other")
	refused(t, point, Options{}, "fuse.other", "host:/dir", "fusermount3 -uz")
	if _, _, ok := Mounted(point); !ok {
		t.Error("somebody else's mount was taken away")
	}
}

func TestDeadMountAboveIsNamed(t *testing.T) {
	point := deadMount(t, "fuse.sshfs")
	refused(t, filepath.Join(point, "below"), Options{}, "dead mount hangs at "+point)
}

func TestServedMountIsNamedWithoutATouch(t *testing.T) {
	point := deadMount(t, "fuse.sshmount") // nobody would answer
	served := func(string) (int, string) { return 4711, "me@host:" }
	refused(t, point, Options{ServedBy: served}, "already mounted", "me@host:", "4711", "sshmount umount")
	if err := Unmount(point); err != nil {
		t.Errorf("unmount: %v", err)
	}
}

func TestUsersOfAMountAreNamed(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("sleep", "600")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	want := fmt.Sprintf("sleep (%d)", cmd.Process.Pid)
	var users []string
	for deadline := time.Now().Add(time.Minute); !slices.Equal(users, []string{want}); users = Users(dir) {
		if time.Now().After(deadline) {
			t.Fatalf("users %q, want %q", users, want)
		}
	}
	if users := Users(dir + "/other"); len(users) != 0 {
		t.Errorf("users of another directory: %q", users)
	}
}
