package fusefs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountFlags are the mount options that mount(2) takes as bits, not as words.
var mountFlags = map[string]struct{ set, clear uintptr }{
	"ro": {set: unix.MS_RDONLY}, "rw": {clear: unix.MS_RDONLY},
	"nosuid": {set: unix.MS_NOSUID}, "suid": {clear: unix.MS_NOSUID},
	"nodev": {set: unix.MS_NODEV}, "dev": {clear: unix.MS_NODEV},
	"noexec":      {set: unix.MS_NOEXEC},
	"sync":        {set: unix.MS_SYNCHRONOUS},
	"dirsync":     {set: unix.MS_DIRSYNC},
	"noatime":     {set: unix.MS_NOATIME},
	"nosymfollow": {set: unix.MS_NOSYMFOLLOW},
}

// words are the options of the mount as mount(8) writes them. The server's setuid bits and device nodes mean nothing here unless the user
// asks for them.
func (o *Options) words() []string {
	words := []string{"rw", "nosuid", "nodev"}
	for _, w := range []struct {
		on   bool
		word string
	}{
		{o.Suid, "suid"}, {o.Dev, "dev"}, {o.NoExec, "noexec"}, {o.NoAtime, "noatime"}, {o.NoSymfollow, "nosymfollow"},
		{o.Sync, "sync"}, {o.DirSync, "dirsync"}, {o.ReadOnly, "ro"},
		{o.AllowOther || o.AllowRoot, "allow_other"}, {o.DefaultPermissions, "default_permissions"},
	} {
		if w.on {
			words = append(words, w.word)
		}
	}
	maxRead := maxWrite
	if o.MaxRead > 0 {
		maxRead = min(o.MaxRead, maxWrite)
	}
	words = append(words, fmt.Sprintf("max_read=%d", maxRead))
	return append(words, o.MountOptions...)
}

// PassedDescriptor says whether a mount point is written /dev/fd/N. Then whoever started the program has mounted already, as mount.fuse3
// does for drop_privileges, and fd is the descriptor of /dev/fuse that they pass.
func PassedDescriptor(mountpoint string) (fd int, ok bool) {
	number, ok := strings.CutPrefix(mountpoint, "/dev/fd/")
	if !ok {
		return -1, false
	}
	fd, err := strconv.Atoi(number)
	return fd, err == nil && fd >= 0
}

// fuseDevice is the number of /dev/fuse, the same on every Linux.
var fuseDevice = unix.Mkdev(10, 229)

// takePassed keeps a passed descriptor from the programs that are started from here: while one of them had it, the mount would not end
// with this process.
func takePassed(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != fuseDevice {
		return fmt.Errorf("/dev/fd/%d is no descriptor of /dev/fuse: whoever starts the program must mount with fd=%d and leave it open", fd, fd)
	}
	unix.CloseOnExec(fd)
	return nil
}

// maker is who has made a mount, and so who can take it away.
type maker int

const (
	byHelper maker = iota // fusermount3
	byUs                  // this process, by mount(2)
	byCaller              // whoever started the program, and passed the descriptor
)

// attach makes the mount and returns the descriptor of /dev/fuse. Root mounts by itself. Everybody else does by fusermount3; so does root
// in a container that lacks the right, and for auto_unmount, where the helper stays beside the mount and is returned (else it is nil).
func attach(o Options) (fd int, by maker, stays *helper, err error) {
	if fd, ok := PassedDescriptor(o.Mountpoint); ok {
		return fd, byCaller, nil, takePassed(fd)
	}
	if os.Geteuid() == 0 && !o.AutoUnmount {
		fd, err = mountDirect(o)
		if err == nil || !errors.Is(err, unix.EPERM) {
			return fd, byUs, nil, err
		}
	}
	fd, stays, err = mountByHelper(o)
	return fd, byHelper, stays, err
}

// openPlace opens a mount point whose path had no symbolic link in it when it was checked. The login has come between: whoever can write
// to a directory on the way could have put a link there since, to have root mount over a directory elsewhere. O_PATH asks nothing of the
// place itself: where that is an automount point, which waits for this very mount, asking would never end.
func openPlace(path string) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &how)
	if err == unix.ENOSYS || err == unix.EPERM { // Linux before 5.6, or a container that does not know the call
		fd, err = unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err == unix.ELOOP {
		err = errors.New("a symbolic link has been put in its place, or on the way to it, since it was checked")
	}
	return fd, err
}

// mountDirect mounts by mount(2), which only root may call, and returns the descriptor of /dev/fuse.
func mountDirect(o Options) (int, error) {
	place, err := openPlace(o.Mountpoint)
	if err != nil {
		return -1, fmt.Errorf("mount point %s: %w", o.Mountpoint, err)
	}
	defer unix.Close(place)
	var st unix.Stat_t
	if err := unix.Fstat(place, &st); err != nil {
		return -1, fmt.Errorf("mount point %s: %w", o.Mountpoint, err)
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse: %w (is the fuse module loaded?)", err)
	}
	var flags uintptr
	data := []string{
		fmt.Sprintf("fd=%d", fd),
		fmt.Sprintf("rootmode=%o", st.Mode&unix.S_IFMT),
		fmt.Sprintf("user_id=%d", os.Getuid()),
		fmt.Sprintf("group_id=%d", os.Getgid()),
	}
	for _, w := range o.words() {
		if f, ok := mountFlags[w]; ok {
			flags = flags&^f.clear | f.set
		} else {
			data = append(data, w)
		}
	}
	target := fmt.Sprintf("/proc/self/fd/%d", place)
	if unix.Access(target, unix.F_OK) != nil { // no /proc here
		target = o.Mountpoint
	}
	if err := unix.Mount(o.FsName, target, "fuse."+o.Subtype, flags, strings.Join(data, ",")); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("mount on %s with options %s: %w", o.Mountpoint, strings.Join(data[1:], ","), err)
	}
	return fd, nil
}
