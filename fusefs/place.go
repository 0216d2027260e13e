package fusefs

import (
	"errors"
	"fmt"
	"slices"

	"github.com/moby/sys/mountinfo"
)

// ErrDetached is what Unmount gives for a mount that somebody has taken out of the tree while programs used it (umount -l,
// fusermount3 -uz): it ends when they have closed their files.
var ErrDetached = errors.New("the mount is detached already, and ends with the last file that is open in it")

// ErrNotInPlace is what Unmount gives where it would not meet this mount at its mount point, but another.
var ErrNotInPlace = errors.New("the mount can't be ended from here")

// A device is how the kernel's table of mounts tells one mount from another at the same place.
type device struct{ major, minor int }

// devicesAt are those of all mounts at a place, none where they can't be told.
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

// madeSince is the device of the mount that has come to a place since before; zero where several have, or that can't be told.
func madeSince(before []device, mountpoint string) device {
	now := slices.DeleteFunc(devicesAt(mountpoint), func(d device) bool { return slices.Contains(before, d) })
	if len(now) != 1 {
		return device{}
	}
	return now[0]
}

// Detached says whether the mount is to be found nowhere any more and yet goes on.
func (m *Mounted) Detached() bool { return errors.Is(m.inPlace(), ErrDetached) }

// left says whether the mount is still found at its mount point.
func (m *Mounted) left() bool { return len(devicesAt(m.mountpoint)) > 0 && m.inPlace() == nil }

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
