package fusefs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mountFlags are those of the options of a mount that mount(2) takes as bits and not as words.
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

// words are the options of the mount: setuid bits and device nodes of the server mean nothing here unless asked for.
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

// PassedDescriptor says whether a mount point is written /dev/fd/N: then whoever started the program has mounted already
// (mount.fuse3 does so for drop_privileges) and passes the descriptor over which the kernel asks.
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

// takePassed keeps a passed descriptor from the programs that are started from here: while one has it, the mount is not dead when
// this process is.
func takePassed(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != fuseDevice {
		return fmt.Errorf("/dev/fd/%d is no descriptor of /dev/fuse: whoever starts the program must mount with fd=%d and leave it open", fd, fd)
	}
	unix.CloseOnExec(fd)
	return nil
}

// attach makes the mount and returns the descriptor over which the kernel asks. Root mounts itself; everybody else, and root in a
// container without the right or for auto_unmount, by way of fusermount3, which is returned where it stays.
func attach(o Options) (fd int, direct bool, stays *helper, err error) {
	if fd, ok := PassedDescriptor(o.Mountpoint); ok {
		return fd, false, nil, takePassed(fd)
	}
	if os.Geteuid() == 0 && !o.AutoUnmount {
		fd, err = mountDirect(o)
		if err == nil || !errors.Is(err, unix.EPERM) {
			return fd, true, nil, err
		}
	}
	fd, stays, err = mountByHelper(o)
	return fd, false, stays, err
}

// mountDirect is mount(2), which only root may call; it returns the open /dev/fuse.
func mountDirect(o Options) (int, error) {
	st, err := os.Stat(o.Mountpoint)
	if err != nil {
		return -1, fmt.Errorf("mount point: %w", err)
	}
	mode := st.Sys().(*syscall.Stat_t).Mode
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse: %w (is the fuse module loaded?)", err)
	}
	var flags uintptr
	data := []string{
		fmt.Sprintf("fd=%d", fd),
		fmt.Sprintf("rootmode=%o", mode&syscall.S_IFMT),
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
	if err := unix.Mount(o.FsName, o.Mountpoint, "fuse."+o.Subtype, flags, strings.Join(data, ",")); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("mount on %s with options %s: %w", o.Mountpoint, strings.Join(data[1:], ","), err)
	}
	return fd, nil
}
