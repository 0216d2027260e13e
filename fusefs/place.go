package fusefs

import (
	"errors"
	"fmt"

	"github.com/moby/sys/mountinfo"
)

// ErrDetached is what Unmount gives for a mount that somebody has taken out of the tree while programs used it (umount -l,
// fusermount3 -uz): it ends when they have closed their files.
var ErrDetached = errors.New("the mount is detached already, and ends with the last file that is open in it")

// ErrNotInPlace is what Unmount gives where it would not meet this mount at its mount point, but another.
var ErrNotInPlace = errors.New("the mount can't be ended from here")

// A device is how the kernel's table of mounts tells one mount from another at the same place.
type device struct{ major, minor int }

// deviceAt is that of the uppermost mount at a place; the zero device where that can't be told.
func deviceAt(mountpoint string) (d device) {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(mountpoint))
	if err != nil || len(mounts) == 0 {
		return device{}
	}
	top := mounts[len(mounts)-1]
	return device{top.Major, top.Minor}
}

// Detached says whether the mount is to be found nowhere any more and yet goes on.
func (m *Mounted) Detached() bool { return errors.Is(m.inPlace(), ErrDetached) }

// left says whether the mount is still found at its mount point.
func (m *Mounted) left() bool { return deviceAt(m.mountpoint) != device{} && m.inPlace() == nil }

// inPlace says whether an unmount at the mount point would meet this mount: it may have been detached or moved, and another
// may have been made there or over it, which is not ours to take away.
func (m *Mounted) inPlace() error {
	if m.device == (device{}) {
		return nil
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil // the unmount will tell
	}
	var top device
	found := ""
	for _, i := range mounts {
		d := device{i.Major, i.Minor}
		if i.Mountpoint == m.mountpoint {
			top = d
		}
		if d == m.device && found != m.mountpoint {
			found = i.Mountpoint
		}
	}
	switch {
	case top == m.device:
		return nil
	case found == "":
		return ErrDetached
	case found == m.mountpoint:
		return fmt.Errorf("%w: another mount lies over %s; unmount that first", ErrNotInPlace, m.mountpoint)
	}
	return fmt.Errorf("%w: it was moved to %s; unmount it there", ErrNotInPlace, found)
}
