// Package mountpoint checks the directory that is to be mounted on before anything
// is done: whether it exists, to whom it belongs, and what is mounted there already.
// Its errors are meant for the user to read.
//
// A check must not hang. A stat of a mount whose server is silent never returns. So
// the table of mounts, which the kernel answers by itself, is read first, and every
// other look has a time limit; the goroutine of one that hangs is left behind.
package mountpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long Check may take.
const patience = 10 * time.Second

// An Error says why a directory can't be mounted on, and what to do.
type Error struct {
	text  string
	cause error // nil where the text says it all
}

func (e *Error) Error() string { return e.text }
func (e *Error) Unwrap() error { return e.cause }

func refusef(format string, args ...any) error { return &Error{text: fmt.Sprintf(format, args...)} }

// Options of a look.
type Options struct {
	NonEmpty bool
	// ServedBy says of a mount of this program whether somebody still serves it,
	// and from where it comes ("" where it is not known).
	ServedBy func(mountpoint string) (pid int, source string)
}

// Check returns an error where a mount point can't be used. A dead mount of sshmount or sshfs
// there is taken away; removed is its source, "" where there was none.
func Check(name string, o Options) (removed string, err error) {
	type answer struct {
		removed string
		err     error
	}
	done := make(chan answer, 1)
	go func() {
		var a answer
		a.removed, a.err = check(name, o)
		done <- a
	}()
	select {
	case a := <-done:
		return a.removed, a.err
	case <-time.After(patience):
		return "", refusef("the mount point %s does not answer: a mount on the way to it hangs; see 'sshmount status' and 'findmnt'", name)
	}
}

func check(name string, o Options) (removed string, err error) {
	path, err := Resolve(name)
	if err != nil {
		return "", err
	}
	removed, err = clearDead(path, o)
	if err != nil {
		return removed, err
	}
	return removed, usable(name, path, o.NonEmpty)
}

// Resolve finds the real path of a mount point without touching what is mounted there.
func Resolve(name string) (string, error) {
	abs, err := Absolute(name)
	if err != nil {
		return "", refusef("mount point %q: asked for the working directory the kernel says: %v; write the full path", name, err)
	}
	for range 40 { // as many links as the kernel follows
		if abs == "/" {
			return abs, nil
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
		if err != nil {
			return "", explain(name, err)
		}
		abs = filepath.Join(dir, filepath.Base(abs))
		if m, err := topAt(abs); err == nil && m != nil {
			return abs, nil
		}
		to, err := os.Readlink(abs)
		if err != nil {
			return abs, nil // no link, or not there: usable says so
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		abs = filepath.Clean(to)
	}
	return "", refusef("mount point %s: too many symbolic links", name)
}

// Absolute completes a name with the working directory, which it gets from the kernel. filepath.Abs would stat that directory, and hang
// where it is in the very mount that hangs.
func Absolute(name string) (string, error) {
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	dir, err := unix.Getwd()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, name), nil
}

// usable checks the directory itself.
func usable(name, path string, nonEmpty bool) error {
	st, err := os.Stat(path)
	if err != nil {
		return explain(name, err)
	}
	if !st.IsDir() {
		return refusef("mount point %s is not a directory", name)
	}
	if err := ours(name, path); err != nil {
		return err
	}
	if nonEmpty {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil // unreadable and ours is no reason to refuse
	}
	defer dir.Close()
	if _, err := dir.Readdirnames(1); err == nil {
		return refusef("mount point %s is not empty; choose another one, or hide what is in it with -o nonempty", name)
	}
	return nil
}

// ours returns an error where fusermount3 will not let this user mount.
func ours(name, path string) error {
	uid := os.Geteuid()
	if uid == 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return explain(name, err)
	}
	if st.Mode&unix.S_ISVTX != 0 && int(st.Uid) != uid {
		return refusef("mount point %s belongs to another user (uid %d) and is a shared directory; make one of your own", name, st.Uid)
	}
	switch err := unix.Access(path, unix.W_OK); {
	case err == unix.EROFS:
		return refusef("mount point %s is on a read-only file system, where only root may mount; choose one elsewhere, or make that writable", name)
	case err != nil:
		return refusef("mount point %s can't be written by you (it belongs to uid %d); choose a directory of your own", name, st.Uid)
	}
	return nil
}

func explain(name string, err error) error {
	where, located := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{fmt.Sprintf("mount point %s does not exist; make it with: mkdir -p %s", name, Word(name)), fs.ErrNotExist}
	case errors.Is(err, unix.ENOTDIR):
		return refusef("mount point %s is not a directory", name)
	case dead(err) && located:
		return refusef("mount point %s: a dead mount hangs at %s; take it away with: fusermount3 -uz %s", name, where.Path, Word(where.Path))
	case located:
		return refusef("mount point %s: %v", name, where.Err)
	}
	return refusef("mount point %s: %v", name, err)
}
