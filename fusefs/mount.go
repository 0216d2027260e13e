package fusefs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"sshmount/cache"
)

const (
	maxWrite      = 1 << 20 // bytes of the largest WRITE; what Linux allows without privileges
	maxBackground = 128     // requests of read-ahead and write-back that the kernel has out at a time

	// maxRequestBytes bounds the buffers of WRITEs that wait for the line. Where all are taken no request is read,
	// not even an interrupt, so it must be far above what a user's programs write at once (1 MiB a writer).
	maxRequestBytes = 192 << 20
)

// Mounted is a mount that is being served.
type Mounted struct {
	mountpoint string
	device     device  // zero where it is not known
	by         maker   // who made it
	stays      *helper // takes the mount away when this process dies; nil where nothing does
	watch      *watcher
	notices    *notifier
	done       chan struct{} // closed when the mount is gone and nothing is served any more
}

// Mount makes the cache, then the mount, and begins to serve; it returns when the
// kernel has had its first answer. No mount is left where it fails. The cache is
// the caller's to close: after Wait, and where Mount fails although newCache did not.
func Mount(newCache func(cache.Notifier) (*cache.Cache, error), o Options) (*Mounted, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Subtype == "" {
		o.Subtype = "sshmount"
	}
	if o.FsName == "" {
		o.FsName = o.Subtype
	}
	mountpoint, err := filepath.Abs(o.Mountpoint)
	if err != nil {
		return nil, fmt.Errorf("mount point %s: %w", o.Mountpoint, err)
	}
	o.Mountpoint = mountpoint

	notices := &notifier{}
	c, err := newCache(notices)
	if err != nil {
		return nil, err
	}

	before := devicesAt(mountpoint)
	fd, by, stays, err := attach(o)
	if err != nil {
		return nil, err
	}
	m := &Mounted{
		mountpoint: mountpoint,
		by:         by,
		stays:      stays,
		watch:      newWatcher(o.SingleThreaded, func() bool { return abandoned(fd) }),
		notices:    notices,
		done:       make(chan struct{}),
	}
	fs := newFilesystem(c, o, uint32(os.Getuid()), m.watch)
	fs.notices = notices
	server, err := fuse.NewServer(fs, fmt.Sprintf("/dev/fd/%d", fd), serverOptions(o))
	if err != nil {
		m.watch.close()
		err = errors.Join(fmt.Errorf("first exchange with the kernel over /dev/fuse: %w", err), m.Unmount(true))
		m.stays.end(m.left())
		return nil, err
	}
	notices.start(server)
	if by != byCaller {
		m.device = madeSince(before, mountpoint)
	}
	go func() {
		defer close(m.done)
		server.Serve()
		m.stays.end(m.left())
		notices.close()
		m.watch.close()
		fs.releaseAll()
	}()
	return m, nil
}

// serverOptions are those of the exchange with the kernel; those of the mount are attach's.
func serverOptions(o Options) *fuse.MountOptions {
	so := &fuse.MountOptions{
		Name:                     o.Subtype,
		MaxWrite:                 maxWrite,
		MaxBackground:            maxBackground,
		MaxReadAhead:             o.MaxReadAhead,
		MaxInflightRequestBytes:  maxRequestBytes,
		ExplicitDataCacheControl: true, // our own writes change the mtime, and must not cost the pages
		DisableXAttrs:            true,
		DisableReadDirPlus:       o.NoReaddirplus,
		DisableSplice:            true, // replies are slices, not pipes
		SingleThreaded:           o.SingleThreaded,
		Debug:                    o.Debug,
		Logger:                   slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		// Files may be opened past the pages (see opened) that are then mapped.
		ExtraCapabilities: fuse.CAP_ATOMIC_O_TRUNC | fuse.CAP_DIRECT_IO_ALLOW_MMAP,
		PanicHandler: func(v any) fuse.Status {
			o.Logger.Error("panic in a request, the program gets EIO", "panic", v, "stack", string(debug.Stack()))
			return fuse.EIO
		},
	}
	return so
}

// abandoned says whether the kernel serves the mount no more (umount -f, an abort over /sys/fs/fuse).
func abandoned(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLERR|unix.POLLNVAL) != 0
}

// Wait returns when the mount is gone, by whomever, and every handle is given back.
func (m *Mounted) Wait() { <-m.done }

// EndNotices is for a process that ends while programs still use the mount, when nothing holds up the answers to them any more: it ends
// what tells the kernel to forget, and waits until that is out of the kernel. There it waits, and can't be killed, for what a program holds
// that waits for an answer; were the process to end before, the two would wait for each other for ever. It gives up after patience.
func (m *Mounted) EndNotices(patience time.Duration) (ended bool) {
	done := make(chan struct{})
	go func() {
		m.notices.close()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(patience):
		return false
	}
}

// ErrPassed is what Unmount gives for a mount that was passed as a descriptor: where it hangs is not known here, and the
// rights to take it away are not ours. It ends with the process, and is dead then until it is taken away.
var ErrPassed = errors.New("this mount was made by whoever started the program, and has to be unmounted by them")

// Unmount asks the kernel to end the mount; lazy detaches it even while it is in use.
// It does not wait for the end: see Wait.
func (m *Mounted) Unmount(lazy bool) error {
	select {
	case <-m.done:
		return nil
	default:
	}
	if m.by == byCaller {
		return ErrPassed
	}
	if err := m.inPlace(); err != nil {
		return err
	}
	if m.by == byUs {
		flags := unix.UMOUNT_NOFOLLOW
		if lazy {
			flags |= unix.MNT_DETACH
		}
		if err := unix.Unmount(m.mountpoint, flags); err != nil {
			return fmt.Errorf("umount %s: %w", m.mountpoint, err)
		}
		return nil
	}
	if err := UnmountByHelper(m.mountpoint, lazy); err != nil {
		return err
	}
	m.stays.end(m.left()) // the place is free, also where a detached mount goes on
	return nil
}
