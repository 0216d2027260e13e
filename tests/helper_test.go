package tests

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helperVariable names what a copy of the test's own program does instead of testing, for work that wants
// several processes with system calls that no ordinary program makes just so.
const helperVariable = "SSHMOUNT_TEST_HELPER"

// helper makes a command that runs this program as a helper.
func helper(name string, args ...string) (string, []string, []string) {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return self, args, append(os.Environ(), helperVariable+"="+name)
}

func startHelper(t *testing.T, name string, args ...string) *background {
	t.Helper()
	self, args, env := helper(name, args...)
	return start(t, "", env, self, args...)
}

// helperAs makes a helper of another user; the program is copied to where that user can run it.
func helperAs(t *testing.T, id uint32, name string, args ...string) (string, error) {
	t.Helper()
	self, _, env := helper(name)
	copied := testDir(t, "helper") + "/helper"
	run(t, "", "cp", self, copied)
	run(t, "", "chmod", "755", copied)
	cmd := exec.Command(copied, args...)
	cmd.Env = env
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func runHelper(name string) {
	if err := helpers[name](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

var helpers = map[string]func(args []string) error{
	// double WAY: an SFTP server that answers in a way of its own.
	"double": serveDouble,

	// append FILE MARK N: N lines by O_APPEND, opened once.
	"append": func(args []string) error {
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		for i := range n {
			if _, err := fmt.Fprintf(f, "%s %06d\n", args[1], i); err != nil {
				return err
			}
		}
		return f.Close()
	},

	// count FILE N: adds one to the number in FILE, N times, each under an exclusive lock of fcntl.
	"count-fcntl": func(args []string) error {
		return count(args, func(f *os.File, lock bool) error {
			l := syscall.Flock_t{Type: syscall.F_UNLCK, Whence: 0, Start: 0, Len: 0}
			if lock {
				l.Type = syscall.F_WRLCK
			}
			return syscall.FcntlFlock(f.Fd(), syscall.F_SETLKW, &l)
		})
	},
	"count-flock": func(args []string) error {
		return count(args, func(f *os.File, lock bool) error {
			how := syscall.LOCK_UN
			if lock {
				how = syscall.LOCK_EX
			}
			return syscall.Flock(int(f.Fd()), how)
		})
	},

	// lock FILE: holds an exclusive flock until it is killed; says so.
	"hold-flock": func(args []string) error {
		f, err := os.OpenFile(args[0], os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			return err
		}
		fmt.Println("locked")
		time.Sleep(time.Hour)
		return nil
	},

	// write-later FILE FLAG: creates FILE, waits until there is something in FLAG, writes that and closes.
	"write-later": func(args []string) error {
		f, err := os.Create(args[0])
		if err != nil {
			return err
		}
		var content []byte
		for size := -1; len(content) == 0 || len(content) != size; time.Sleep(20 * time.Millisecond) {
			size = len(content) // twice the same: it has been written whole
			content, _ = os.ReadFile(args[1])
		}
		if _, err := f.Write(content); err != nil {
			return err
		}
		return f.Close()
	},

	// mmap FILE TEXT OFFSET: writes TEXT through a shared mapping, and syncs it.
	"mmap": func(args []string) error {
		f, err := os.OpenFile(args[0], os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		off, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		m, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("mmap: %w", err)
		}
		copy(m[off:], args[1])
		if err := unix.Msync(m, unix.MS_SYNC); err != nil {
			return fmt.Errorf("msync: %w", err)
		}
		return unix.Munmap(m)
	},

	// read FILE: prints it. write FILE TEXT: creates or overwrites it. stat FILE: its mode and owner. All to be run as another user.
	"read": func(args []string) error {
		b, err := os.ReadFile(args[0])
		fmt.Printf("%s", b)
		return err
	},
	"write": func(args []string) error {
		return os.WriteFile(args[0], []byte(args[1]), 0o644)
	},
	"stat": func(args []string) error {
		_, err := os.Stat(args[0])
		return err
	},
}

// count reads, adds and writes back, so that an increment is lost when two do it at the same time.
func count(args []string, lock func(f *os.File, lock bool) error) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for range n {
		if err := lock(f, true); err != nil {
			return fmt.Errorf("lock: %w", err)
		}
		b := make([]byte, 8)
		if _, err := f.ReadAt(b, 0); err != nil {
			return err
		}
		v, err := strconv.Atoi(string(b))
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(fmt.Appendf(nil, "%08d", v+1), 0); err != nil {
			return err
		}
		if err := lock(f, false); err != nil {
			return fmt.Errorf("unlock: %w", err)
		}
	}
	return nil
}
