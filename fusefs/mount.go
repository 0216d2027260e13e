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

	// maxRequestBytes bounds the buffers of WRITEs that wait for the line. While all are taken go-fuse reads no request, not even an
	// interrupt, so it must be far more than programs write at a time (1 MiB each).
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

// Mount makes the cache, then the mount, and begins to serve. It returns when the
// kernel has had its first answer; where it fails no mount is left. The caller closes
// the cache: after Wait, or when Mount has failed and newCache had not.
func Mount(newCache func(cache.Notifier) (*cache.Cache, error), o Options) (*Mounted, error) {
	mountpoint, err := filepath.Abs(o.Mountpoint)
	if err != nil {
		return nil, fmt.Errorf("mount point %s: %w", o.Mountpoint, err)
	}
	o.Mountpoint = mountpoint
	o.setDefaults()

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

// serverOptions are the options of the exchange with the kernel. Those of the mount itself are Options.words.
func serverOptions(o Options) *fuse.MountOptions {
	return &fuse.MountOptions{
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
		// A file that is opened past the pages (see opened) may be mapped all the same.
		ExtraCapabilities: fuse.CAP_ATOMIC_O_TRUNC | fuse.CAP_DIRECT_IO_ALLOW_MMAP,
		PanicHandler: func(v any) fuse.Status {
			o.Logger.Error("panic in a request, the program gets EIO", "panic", v, "stack", string(debug.Stack()))
			return fuse.EIO
		},
	}
}

// abandoned says whether the kernel has given the mount up (umount -f, an abort over /sys/fs/fuse).
func abandoned(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLERR|unix.POLLNVAL) != 0
}

// Wait returns when the mount is gone, whoever has ended it, and every handle is given back to the cache.
func (m *Mounted) Wait() { <-m.done }

// EndNotices is for a process that ends while programs still use the mount. It sends no further notices, and waits for those that are in
// the kernel, at most for patience; ended says whether they are out. Such a notice can't be killed, and waits for a lock that a program
// holds until its request is answered: a process that exits before would never come to its end, and neither would the program. So it must
// be called when nothing holds up the answers any more.
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

// ErrPassed is Unmount's error for a mount that was passed as a descriptor: where it is mounted is not known here, nor has this process the
// right to unmount it. When the process ends the mount is dead, and stays so until somebody unmounts it.
var ErrPassed = errors.New("this mount was made by whoever started the program, and has to be unmounted by them")

// Unmount asks the kernel to end the mount; lazy detaches it even while it is in use. It does not wait for the end: see Wait. The error is
// EBUSY where the mount is in use, ErrPassed, or one of ErrDetached and ErrNotInPlace where something else is at its mount point.
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
	m.stays.end(m.left()) // the mount point is free now, even if the detached mount lives on
	return nil
}
