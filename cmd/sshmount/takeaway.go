package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
	"sshmount/fusefs"
)

// fate is what becomes of a mount that is to be taken away.
type fate int

const (
	goes  fate = iota // the kernel lets go of it, now or when no program uses it any more
	stays             // it goes on
	dead              // it is out of our reach: it is not served any more, and lies there until somebody unmounts it
)

// takeAway unmounts, or detaches, the mount. Where it stays, the outcome says why.
//
//	what unmounting says                       no option   lazy        force
//	nil                                        goes        goes        goes
//	ErrDetached: somebody else has detached it goes        goes        goes
//	ErrPassed, ErrNotInPlace: not from here    stays       stays       dead
//	EBUSY, or another error                    stays       detach it   detach it
//	... which fails                            -           stays       goes
func (m *mount) takeAway(w umountWish, failed, late error) (fate, control.Outcome) {
	err := m.fuse.Unmount(false)
	busy := errors.Is(err, unix.EBUSY)
	switch {
	case err == nil:
		return goes, control.Outcome{}
	case errors.Is(err, fusefs.ErrDetached):
		m.log.Info("the mount is detached, and somebody else has done it")
		return goes, control.Outcome{}
	case errors.Is(err, fusefs.ErrPassed), errors.Is(err, fusefs.ErrNotInPlace):
		if !w.force {
			return stays, control.Outcome{Busy: true, Error: oneLine(err, failed, late), Unsaved: failed != nil}
		}
		m.log.Warn("the mount stays, dead, until it is taken away", "reason", err)
		return dead, control.Outcome{}
	case busy && !w.lazy && !w.force:
		return stays, m.inUse(failed, late)
	case !w.lazy && !w.force:
		return stays, control.Outcome{Unsaved: failed != nil, Error: oneLine(fmt.Errorf("it cannot be unmounted, and stays: %w", err), failed, late)}
	case busy:
		m.log.Warn("the mount is in use; it is detached", "by", cmp.Or(strings.Join(mountpoint.Users(m.set.Mountpoint), ", "), "nobody who can be seen now"))
	default:
		m.log.Warn("the mount cannot be unmounted; it is detached", "error", err)
	}
	if err := m.fuse.Unmount(true); err != nil {
		m.log.Error("cannot detach the mount", "error", err)
		if !w.force {
			return stays, control.Outcome{Error: err.Error()}
		}
	}
	return goes, control.Outcome{}
}

// inUse is the answer where programs hold the mount.
func (m *mount) inUse(failed, late error) control.Outcome {
	text := fmt.Sprintf("%s is in use", m.set.Mountpoint)
	if users := mountpoint.Users(m.set.Mountpoint); len(users) > 0 {
		text += " by " + strings.Join(users, ", ")
	}
	use := errors.New(text + "; end what uses it, or detach it with --lazy")
	return control.Outcome{Busy: true, Unsaved: failed != nil, Error: oneLine(use, failed, late)}
}
