package fusefs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// mountFlags are the options that mount(2) takes as bits and not as words.
var mountFlags = map[string]struct{ set, clear uintptr }{
	"ro": {set: unix.MS_RDONLY}, "rw": {clear: unix.MS_RDONLY},
	"nosuid": {set: unix.MS_NOSUID}, "suid": {clear: unix.MS_NOSUID},
	"nodev": {set: unix.MS_NODEV}, "dev": {clear: unix.MS_NODEV},
	"noexec": {set: unix.MS_NOEXEC}, "exec": {clear: unix.MS_NOEXEC},
	"sync": {set: unix.MS_SYNCHRONOUS}, "async": {clear: unix.MS_SYNCHRONOUS},
	"dirsync": {set: unix.MS_DIRSYNC},
	"noatime": {set: unix.MS_NOATIME}, "atime": {clear: unix.MS_NOATIME},
	"nodiratime": {set: unix.MS_NODIRATIME}, "diratime": {clear: unix.MS_NODIRATIME},
	"relatime": {set: unix.MS_RELATIME}, "strictatime": {set: unix.MS_STRICTATIME},
}

// words are the options of the mount: setuid bits and device nodes of the server mean nothing here unless asked for.
func (o *Options) words() []string {
	words := []string{"rw", "nosuid", "nodev"}
	for _, w := range []struct {
		on   bool
		word string
	}{
		{o.Suid, "suid"}, {o.Dev, "dev"}, {o.NoExec, "noexec"}, {o.NoAtime, "noatime"},
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

// takePassed keeps a passed descriptor from the programs that are started from here: while one has it, the mount is not dead when this process is.
func takePassed(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != fuseDevice {
		return fmt.Errorf("/dev/fd/%d is no descriptor of /dev/fuse: whoever starts the program must mount with fd=%d and leave it open", fd, fd)
	}
	unix.CloseOnExec(fd)
	return nil
}

// attach makes the mount and returns the descriptor over which the kernel asks.
// Root mounts itself; everybody else, and root in a container without the right, by way of fusermount3.
func attach(o Options) (fd int, direct bool, err error) {
	if fd, ok := PassedDescriptor(o.Mountpoint); ok {
		return fd, false, takePassed(fd)
	}
	if os.Geteuid() == 0 {
		fd, err = mountDirect(o)
		if err == nil || !errors.Is(err, unix.EPERM) {
			return fd, true, err
		}
	}
	fd, err = mountByHelper(o)
	return fd, false, err
}

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

// fusermount finds the setuid helper that mounts for those who may not.
func fusermount() (string, error) {
	for _, name := range []string{"fusermount3", "/bin/fusermount3", "fusermount", "/bin/fusermount"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("fusermount3 was not found: install the package fuse3")
}

// mountByHelper lets fusermount3 mount; it sends the descriptor over a socket that it inherits as number 3.
func mountByHelper(o Options) (int, error) {
	helper, err := fusermount()
	if err != nil {
		return -1, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socketpair for %s: %w", helper, err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()

	words := append(o.words(), "fsname="+o.FsName, "subtype="+o.Subtype)
	words = slices.DeleteFunc(words, func(w string) bool { return w == "rw" })
	for i, w := range words {
		words[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(w)
	}
	var complaint bytes.Buffer
	cmd := exec.Command(helper, "-o", strings.Join(words, ","), "--", o.Mountpoint)
	cmd.Env = append(os.Environ(), "_FUSE_COMMFD=3")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(complaint.String()); text != "" {
			return -1, errors.New(text)
		}
		return -1, fmt.Errorf("%s: %w", helper, err)
	}
	fd, err := receive(int(ours.Fd()))
	if err != nil {
		return -1, fmt.Errorf("descriptor from %s: %w", helper, err)
	}
	return fd, nil
}

// receive takes one descriptor from a unix socket.
func receive(socket int) (int, error) {
	data, rights := make([]byte, 4), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, data, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return -1, err
	}
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, errors.New("none came")
}
