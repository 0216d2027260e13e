package fusefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// fusermounts are the names under which the setuid helper is looked for. An old system has only that of FUSE 2, which does the same; the
// PATH of a service may be empty. A variable for the tests.
var fusermounts = []string{"fusermount3", "/bin/fusermount3", "fusermount", "/bin/fusermount"}

// Fusermount finds the setuid helper that mounts and unmounts for users who may not do so themselves.
func Fusermount() (string, error) {
	for _, name := range fusermounts {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("fusermount3 is not installed: install the package fuse3")
}

// UnmountByHelper has the setuid helper unmount; lazy detaches the mount even while it is in use. The error is in the helper's words, and is
// EBUSY where the mount is in use.
func UnmountByHelper(mountpoint string, lazy bool) error {
	program, err := Fusermount()
	if err != nil {
		return err
	}
	args := []string{"-u"}
	if lazy {
		args = append(args, "-z")
	}
	cmd := exec.Command(program, append(args, "--", mountpoint)...)
	// In a process group of its own: while a first Ctrl-C is ending the mount a second one must not end the helper.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	said := strings.TrimSpace(string(out))
	switch {
	case strings.Contains(said, "busy"):
		return helperSaid{said, unix.EBUSY}
	case said != "":
		return errors.New(said + advice(program, said))
	}
	return fmt.Errorf("%s -u %s: %w (still in use?)", program, mountpoint, err)
}

// helperSaid is a complaint of the helper in its own words, with the errno that it stands for.
type helperSaid struct {
	text  string
	errno unix.Errno
}

func (e helperSaid) Error() string { return e.text }
func (e helperSaid) Unwrap() error { return e.errno }

// helper is a fusermount3 that stays beside a mount with auto_unmount. It unmounts when its socket is closed, which the kernel does however
// this process ends.
type helper struct {
	cmd    *exec.Cmd
	socket *os.File
	once   sync.Once // of end
}

// end ends the helper when nothing is served any more; nil has nothing to end. left says that the mount was aborted and is still at its
// mount point: then the helper is to unmount it. Where the mount is gone something else may be mounted there, so the helper is killed
// before it can find its socket closed.
func (h *helper) end(left bool) {
	if h == nil {
		return
	}
	h.once.Do(func() {
		if !left {
			h.cmd.Process.Kill()
		}
		h.socket.Close()
		h.cmd.Wait()
	})
}

// mountByHelper has fusermount3 mount, which sends the descriptor of /dev/fuse back over a socket that it inherits as descriptor 3. stays is
// nil where the helper has ended.
func mountByHelper(o Options) (fd int, stays *helper, err error) {
	program, err := Fusermount()
	if err != nil {
		return -1, nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("socketpair for %s: %w", program, err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer func() {
		if stays == nil {
			ours.Close()
		}
	}()
	defer theirs.Close()
	// What the helper complains of goes to a file in memory, not to a pipe: a helper that stays would keep that open.
	memory, err := unix.MemfdCreate("complaint", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, nil, fmt.Errorf("memory for what %s says: %w", program, err)
	}
	complaint := os.NewFile(uintptr(memory), "complaint")
	defer complaint.Close()

	if _, err := os.Stat(mtab); o.AutoUnmount && errors.Is(err, fs.ErrNotExist) {
		o.Logger.Warn("auto_unmount has no effect here: "+program+" takes away only what "+mtab+" lists", "missing", mtab, "to do", makeMtab)
	}
	cmd := exec.Command(program, "-o", o.helperWords(), "--", o.Mountpoint)
	cmd.Env = append(os.Environ(), "_FUSE_COMMFD=3")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = complaint
	if err := cmd.Start(); err != nil {
		return -1, nil, fmt.Errorf("%s: %w", program, err)
	}
	theirs.Close()
	fd, err = receive(int(ours.Fd()))
	if err == nil && o.AutoUnmount {
		return fd, &helper{cmd: cmd, socket: ours}, nil
	}
	if failed := cmd.Wait(); failed != nil {
		if err == nil {
			unix.Close(fd)
		}
		if said := beginning(complaint); said != "" {
			return -1, nil, errors.New(said + advice(program, said))
		}
		return -1, nil, fmt.Errorf("%s: %w", program, failed)
	}
	if err != nil {
		return -1, nil, fmt.Errorf("descriptor from %s: %w", program, err)
	}
	return fd, nil, nil
}

// mtab is where fusermount3 looks whether something is mounted. A system that somebody put together by hand may lack it.
const (
	mtab     = "/etc/mtab"
	makeMtab = "have root run ln -s /proc/self/mounts " + mtab
)

// helperWords are the options of the mount as the helper takes them: separated by commas, with \ before a comma or a \ in one.
func (o *Options) helperWords() string {
	words := append(o.words(), "fsname="+o.FsName, "subtype="+o.Subtype)
	words = slices.DeleteFunc(words, func(w string) bool { return w == "rw" })
	for i, w := range words {
		words[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(w)
	}
	if o.AutoUnmount {
		words = append(words, "auto_unmount")
	}
	return strings.Join(words, ",")
}

// beginning is the first text in a file, up to 4 KiB.
func beginning(f *os.File) string {
	text := make([]byte, 4<<10)
	n, _ := f.ReadAt(text, 0)
	return strings.TrimSpace(string(text[:n]))
}

// advice says what to do about a complaint of the helper; "" where it says so itself.
func advice(program, said string) string {
	switch {
	case strings.Contains(said, "/dev/fuse: Permission denied"):
		return "; not everybody may use the device here: have root run chmod 666 /dev/fuse"
	case strings.Contains(said, "failed to access mountpoint") && strings.Contains(said, "Permission denied"):
		return "; if it lies in another FUSE mount of yours, which root may not enter, mount that one with -o allow_root, or choose a mount point outside"
	case strings.Contains(said, "Operation not permitted") && !mayMount(program, os.Geteuid()):
		return "; it may not mount, as it lacks its setuid bit: have root run chmod u+s " + program
	case strings.Contains(said, "Operation not permitted"):
		return "; a container has to be started with --device /dev/fuse --cap-add SYS_ADMIN, " +
			"and with --security-opt apparmor=unconfined where the host has AppArmor"
	case strings.Contains(said, mtab) && strings.Contains(said, "No such file"):
		return "; " + makeMtab
	}
	return ""
}

// mayMount reports whether the helper has root's rights when the user uid runs it, as far as can be told.
func mayMount(program string, uid int) bool {
	info, err := os.Stat(program)
	return uid == 0 || err != nil || info.Mode()&os.ModeSetuid != 0
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
