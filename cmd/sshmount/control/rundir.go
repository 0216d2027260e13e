// Package control is the way to a running mount: a private unix socket for each
// mount, and beside it a record, a small file that says which mount it is.
//
// The server of the socket (Server) runs in the process of the mount, and asks that
// by the interface Backend; commands are clients (Client). The socket speaks HTTP:
// GET /status, POST /sync, /umount and /kick, and /metrics and /debug/pprof for those
// who measure. An answer to sync or umount is a line of JSON for each bit of progress,
// and one for the outcome. Socket and record have mode 0600, in a directory with mode
// 0700 that belongs to the user: nobody else can use them. Where somebody takes them
// away while the mount goes on, they are made anew (watch).
//
// Goroutines: one for each listener and one that watches; Server.Close ends them and
// waits for them. Server.mu is a leaf.
package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// longestDir leaves room for the name of a socket in the 107 bytes that the address of one may have.
const longestDir = 80

// MakeDir finds or makes the directory of the sockets. It prefers places that don't
// outlast a reboot.
func MakeDir() (string, error) {
	var found string
	err := useDir(func(dir string) error { found = dir; return nil })
	return found, err
}

// useDir finds or makes a directory, and calls use with it; where that fails, as on a full
// disk, it tries the next.
func useDir(use func(dir string) error) error {
	var errs []error
	for _, dir := range candidates() {
		err := makeDir(dir)
		if err == nil {
			err = use(dir)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("no place for the control socket: %w", errors.Join(errs...))
}

func makeDir(dir string) error {
	if err := checkParent(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return checkDir(dir)
}

// dirs are those of the candidates that exist and can be trusted.
func dirs() []string {
	return slices.DeleteFunc(candidates(), func(dir string) bool { return checkParent(filepath.Dir(dir)) != nil || checkDir(dir) != nil })
}

// candidates are the places where a mount of this user may have its socket. A mount
// that was made by mount(8) or a service has other variables than a shell, so commands
// look in all of them. Places that are the same for all processes of the user come
// before that of TMPDIR, which may be a batch job's own.
func candidates() []string {
	uid := strconv.Itoa(os.Getuid())
	var parents []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		parents = append(parents, filepath.Join(dir, "sshmount"))
	}
	parents = append(parents, filepath.Join("/run/user", uid, "sshmount"))
	if uid == "0" {
		parents = append(parents, "/run/sshmount-0")
	}
	parents = append(parents, "/tmp/sshmount-"+uid, filepath.Join(os.TempDir(), "sshmount-"+uid))
	var list []string
	for _, dir := range parents {
		if len(dir) <= longestDir && !slices.Contains(list, dir) {
			list = append(list, dir)
		}
	}
	return list
}

// checkDir refuses a directory that another user could have made.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a directory of yours that is closed to others (mode 700)", dir)
	}
	return nil
}

// unknownID is the overflow uid: the kernel shows it in a user namespace for owners that have no id there, such as the root outside.
const unknownID = 65534

// checkParent refuses a directory in which another user could replace ours by a link, and so have root write where the link leads:
// one that belongs to another user (after su, XDG_RUNTIME_DIR may still be that of the user who called it), and one in which
// everybody may rename others' files, such as a /tmp that is not sticky. Otherwise directories of root are trusted, and sticky ones
// (/tmp) of an unknown owner.
func checkParent(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	outside := st != nil && st.Uid == unknownID && info.Mode()&fs.ModeSticky != 0
	switch {
	case !ok || !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case int(st.Uid) != os.Getuid() && st.Uid != 0 && !outside:
		return fmt.Errorf("%s belongs to another user", dir)
	case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("%s can be written by everybody and is not sticky, so others could replace what is in it", dir)
	}
	return nil
}
