package main

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

// prepare looks at this machine before the server is asked anything: the
// cheap refusals come first.
func prepare(set *cmdline.Settings) error {
	if err := mountpoint.FuseReady(set.Mount.AllowOther || set.Mount.AllowRoot); err != nil {
		return failed(exitFuse, err)
	}
	_, removed, err := mountpoint.Check(set.Mountpoint, mountpoint.Options{NonEmpty: set.Mount.NonEmpty, Live: live})
	if removed != "" {
		fmt.Fprintf(os.Stderr, "sshmount: took away a dead mount of %s from %s\n", removed, set.Mountpoint)
	}
	return err
}

// live says who serves a mount of ours, by its record.
func live(path string) (pid int, source string) {
	r, ok := control.Find(path)
	if !ok || !r.Alive() {
		return 0, ""
	}
	return r.PID, r.Source
}

// place fills in where things of this mount lie on this machine.
func place(set *cmdline.Settings) error {
	path := set.Mountpoint
	if !strings.HasPrefix(path, "/dev/fd/") {
		var err error
		if path, err = mountpoint.Resolve(path); err != nil {
			return err
		}
	}
	set.Mountpoint, set.Mount.Mountpoint = path, path
	state := stateDir()
	if within(state, path) {
		// A log below the mount would wait for the mount to answer the log.
		dir, err := control.MakeDir()
		if err != nil {
			return err
		}
		state = dir
	}
	if set.Cache.RescueDir == "" {
		set.Cache.RescueDir = filepath.Join(state, "rescue")
	}
	if set.LogFile == "" {
		set.LogFile = filepath.Join(state, "log", logName(path))
	}
	for what, name := range map[string]string{"rescue_dir": set.Cache.RescueDir, "log_file": set.LogFile} {
		if within(name, path) {
			return failed(exitUsage, fmt.Errorf("%s lies below the mount point, where a write would wait for itself; choose a place outside", what))
		}
	}
	return nil
}

// stateDir is where logs and rescue files go ($XDG_STATE_HOME, ~/.local/state).
func stateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "sshmount")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		// Services and mount(8) run without HOME.
		if u, err := user.Current(); err == nil {
			home = u.HomeDir
		}
	}
	return filepath.Join(home, ".local", "state", "sshmount")
}

func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}
