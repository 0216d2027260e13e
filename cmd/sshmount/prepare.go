package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
	"sshmount/fusefs"
)

// prepare checks this machine before the server is asked anything: the cheap
// refusals come first.
func prepare(set *cmdline.Settings) error {
	if _, passed := fusefs.PassedDescriptor(set.Mountpoint); passed {
		return nil // mounted already, whatever this machine may lack for another mount
	}
	if err := mountpoint.FuseReady(set.Mount.AllowOther || set.Mount.AllowRoot); err != nil {
		return failed(exitFuse, err)
	}
	removed, err := mountpoint.Check(set.Mountpoint, mountpoint.Options{NonEmpty: set.NonEmpty, ServedBy: servedBy})
	if removed != "" {
		fmt.Fprintf(os.Stderr, "sshmount: took away a dead mount of %s from %s\n", removed, set.Mountpoint)
	}
	return err
}

// servedBy returns the process that serves a mount of this program at path, by its record, and the source; 0 where there is none. A
// process that goes on although its mount is detached or unmounted does not serve what is there now.
func servedBy(path string) (pid int, source string) {
	r, ok := control.Find(path)
	if !ok || !r.Alive() {
		return 0, ""
	}
	if s := control.StatusOf(context.Background(), r); s.Ending || s.Detached {
		return 0, ""
	}
	return r.PID, r.Source
}

// place completes the paths of the mount on this machine: mount point and rescue directory.
func place(set *cmdline.Settings) error {
	path := set.Mountpoint
	if fd, passed := fusefs.PassedDescriptor(path); passed {
		// Programs are started before the mount is served (ssh), and must not hold it.
		unix.CloseOnExec(fd)
	} else {
		var err error
		if path, err = mountpoint.Resolve(path); err != nil {
			return err
		}
	}
	set.Mountpoint, set.Mount.Mountpoint, set.Cache.SeenAt = path, path, path
	for what, name := range map[string]string{"rescue_dir": set.Cache.RescueDir, "log_file": set.LogFile} {
		if mountpoint.Within(name, path) {
			return failed(exitUsage, fmt.Errorf("%s lies below the mount point, where a write would wait for itself; choose a place outside", what))
		}
	}
	if set.Cache.RescueDir == "" {
		set.Cache.RescueDir = rescueDir(stateDirs(path))
		return nil
	}
	err := os.MkdirAll(set.Cache.RescueDir, 0o700)
	if err == nil {
		err = os.NewSyscallError(set.Cache.RescueDir, unix.Access(set.Cache.RescueDir, unix.W_OK|unix.X_OK))
	}
	if err != nil {
		return failed(exitFailure, fmt.Errorf("rescue_dir: %w; choose a directory that you can write", err))
	}
	return nil
}
