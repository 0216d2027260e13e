package mountpoint

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"sshmount/fusefs"
)

// topAt returns the uppermost mount at path, or nil. It reads the kernel's table and touches no file system.
func topAt(path string) (*mountinfo.Info, error) {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return m.Mountpoint != path, false
	})
	for _, m := range mounts {
		// The order in the table is not that in which they lie on each other.
		if !slices.ContainsFunc(mounts, func(o *mountinfo.Info) bool { return o.Parent == m.ID }) {
			return m, err
		}
	}
	return nil, err
}

// Mounted says whether a FUSE mount is at path, and of what type and source.
func Mounted(path string) (fstype, source string, ok bool) {
	m, err := topAt(path)
	if err != nil || m == nil || !strings.HasPrefix(m.FSType, "fuse") {
		return "", "", false
	}
	return m.FSType, m.Source, true
}

// Owner is the user who has made the FUSE mount at path, by the kernel's table.
func Owner(path string) (uid int, ok bool) {
	m, err := topAt(path)
	if err != nil || m == nil {
		return 0, false
	}
	for option := range strings.SplitSeq(m.VFSOptions, ",") {
		if id, found := strings.CutPrefix(option, "user_id="); found {
			uid, err = strconv.Atoi(id)
			return uid, err == nil
		}
	}
	return 0, false
}

// clearDead takes away dead mounts of sshmount and sshfs at path. A live one of these, or a
// dead one of another type, is an error; other mounts don't matter.
func clearDead(path string, o Options) (removed string, err error) {
	for range 8 { // mounts may lie one on the other
		m, err := topAt(path)
		if err != nil || m == nil || !strings.HasPrefix(m.FSType, "fuse") {
			return removed, nil
		}
		mine := ofOurKind(m)
		if mine && o.ServedBy != nil {
			if pid, source := o.ServedBy(path); pid != 0 {
				return removed, refusef("%s is already mounted from %s by process %d; end that with: sshmount umount %s", path, source, pid, Word(path))
			}
		}
		asked := Ask(path)
		switch {
		case mine && asked == nil:
			return removed, refusef("%s is already mounted from %s (%s); end that with: fusermount3 -u %s", path, m.Source, m.FSType, Word(path))
		case !dead(asked):
			return removed, nil
		case !mine:
			return removed, refusef("a dead mount of type %s (from %s) hangs on %s; take it away with: fusermount3 -uz %s", m.FSType, m.Source, path, Word(path))
		}
		if err := Detach(path); err != nil {
			return removed, refusef("a dead mount of %s hangs on %s and can't be taken away: %v", m.Source, path, err)
		}
		removed = m.Source
	}
	return removed, refusef("too many dead mounts lie on %s; take them away with: fusermount3 -uz %s", path, Word(path))
}

// Free returns an error where there is a mount of sshmount or sshfs at path: Check has found none before, so it is new.
func Free(path string) error {
	if m, err := topAt(path); err == nil && m != nil && ofOurKind(m) {
		return refusef("%s was mounted from %s meanwhile (%s); end that with: fusermount3 -u %s", path, m.Source, m.FSType, Word(path))
	}
	return nil
}

// ofOurKind says of a mount that it is one of this program or of sshfs.
func ofOurKind(m *mountinfo.Info) bool {
	return m.FSType == "fuse.sshmount" || m.FSType == "fuse.sshfs"
}

// Ask makes a request that the process of the mount at path has to answer, and returns its
// error. A stat would not do: the kernel answers it by itself as long as it trusts the
// attributes, also for a mount that is dead.
func Ask(path string) error {
	var st unix.Statfs_t
	return ignoringEINTR(func() error { return unix.Statfs(path, &st) })
}

// dead reports whether the error of a request to a mount means that nobody serves the mount any more. ECONNABORTED is the error
// of a request that was not answered when the process ended: a killed process may need a while to end after it counts as gone.
func dead(err error) bool { return errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED) }

// askPatience is how long a request to a dead mount may take to fail: a process that was killed may need a while to end.
const askPatience = 5 * time.Second

// Dead reports whether there is a FUSE mount at path that nobody serves any more. One that does not answer is not dead: its server may be
// slow.
func Dead(path string) bool {
	if _, _, mounted := Mounted(path); !mounted {
		return false
	}
	answer := make(chan error, 1)
	go func() { answer <- Ask(path) }()
	select {
	case err := <-answer:
		return dead(err)
	case <-time.After(askPatience):
		return false
	}
}

// ignoringEINTR repeats a call that a signal has interrupted: the runtime sends signals to its own threads.
func ignoringEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Detach takes a mount out of the tree, in use or not (a lazy unmount).
func Detach(path string) error { return unmount(path, true) }

// Unmount ends a mount that is not in use.
func Unmount(path string) error { return unmount(path, false) }

func unmount(path string, lazy bool) error {
	if os.Geteuid() == 0 {
		flags := unix.UMOUNT_NOFOLLOW
		if lazy {
			flags |= unix.MNT_DETACH
		}
		if err := unix.Unmount(path, flags); err == nil || !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	return fusefs.UnmountByHelper(path, lazy)
}
