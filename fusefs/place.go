package fusefs

import (
	"errors"
	"fmt"
	"slices"

	"github.com/moby/sys/mountinfo"
)

// ErrDetached is Unmount's error for a mount that was detached while programs used it (umount -l, fusermount3 -uz). It ends when they have
// closed their files.
var ErrDetached = errors.New("the mount is detached already, and ends with the last file that is open in it")

// ErrNotInPlace is Unmount's error where an unmount at the mount point would not meet this mount but another.
var ErrNotInPlace = errors.New("the mount can't be ended from here")

// device is the device number of a mount: it tells mounts at one place apart in the kernel's table.
type device struct{ major, minor int }

// devicesAt are the devices of all mounts at a place; none where the table can't be read.
func devicesAt(mountpoint string) (list []device) {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(mountpoint))
	if err != nil {
		return nil
	}
	for _, i := range mounts {
		list = append(list, device{i.Major, i.Minor})
	}
	return list
}

// madeSince is the device of the mount that was made at a place after before was taken; zero where that is none or several.
func madeSince(before []device, mountpoint string) device {
	now := slices.DeleteFunc(devicesAt(mountpoint), func(d device) bool { return slices.Contains(before, d) })
	if len(now) != 1 {
		return device{}
	}
	return now[0]
}

// Detached says whether the mount was detached: it is in the kernel's table no more, and is served all the same.
func (m *Mounted) Detached() bool { return errors.Is(m.inPlace(), ErrDetached) }

// left says whether the mount is still found at its mount point.
func (m *Mounted) left() bool { return len(devicesAt(m.mountpoint)) > 0 && m.inPlace() == nil }

// inPlace is nil where an unmount at the mount point would meet this mount. It may have been detached or moved, and another may have been
// made there or over it, which is not ours to take away. Where nothing can be found out it is nil, too: the unmount will tell.
func (m *Mounted) inPlace() error {
	if m.device == (device{}) {
		return nil
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil
	}
	found, covered := "", false
	for _, i := range mounts {
		if (device{i.Major, i.Minor}) != m.device || found == m.mountpoint {
			continue
		}
		found = i.Mountpoint
		covered = slices.ContainsFunc(mounts, func(o *mountinfo.Info) bool { return o.Parent == i.ID && o.Mountpoint == found })
	}
	switch {
	case found == "":
		return ErrDetached
	case found == m.mountpoint && !covered:
		return nil
	case found == m.mountpoint:
		return fmt.Errorf("%w: another mount lies over %s; unmount that first", ErrNotInPlace, m.mountpoint)
	}
	return fmt.Errorf("%w: it was moved to %s; unmount it there", ErrNotInPlace, found)
}
