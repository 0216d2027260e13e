package main

import (
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

// stateDirs are the default places for logs and rescue files, best first: the user's state directory ($XDG_STATE_HOME,
// ~/.local/state) and, for users without a home that they can write (services, a read-only root), the directory of the control
// sockets. None is below the mount point: there, a write to the log would wait for the mount that writes it.
func stateDirs(point string) []string {
	var dirs []string
	if dir := stateDir(); dir != "" && !mountpoint.Within(dir, point) {
		dirs = append(dirs, dir)
	}
	if dir, err := control.MakeDir(); err == nil && !mountpoint.Within(dir, point) {
		dirs = append(dirs, dir)
	}
	return dirs
}

// stateDir is the user's state directory; "" where there is none. After sudo -E root has the variables of another user, and must
// not make directories in the home of that user which belong to root.
func stateDir() string {
	dir := ""
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		dir = filepath.Join(state, "sshmount")
	} else if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		dir = filepath.Join(home, ".local", "state", "sshmount")
	}
	if dir != "" && (os.Geteuid() != 0 || owner(dir) == 0) {
		return dir
	}
	// Services and mount(8) run without HOME.
	u, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil || !filepath.IsAbs(u.HomeDir) {
		return ""
	}
	return filepath.Join(u.HomeDir, ".local", "state", "sshmount")
}

// owner is the id of the user to whom name belongs or, where it does not exist, its nearest parent that does; -1 where that is not known.
func owner(name string) int {
	for {
		info, err := os.Stat(name)
		if err == nil {
			return int(info.Sys().(*syscall.Stat_t).Uid)
		}
		if name == filepath.Dir(name) {
			return -1
		}
		name = filepath.Dir(name)
	}
}

// rescueDir is the first place where rescue files can be written; "" where there is none. The directory itself is made when it is needed.
func rescueDir(states []string) string {
	for _, state := range states {
		dir := filepath.Join(state, "rescue")
		if os.MkdirAll(state, 0o700) != nil {
			continue
		}
		err := unix.Access(dir, unix.W_OK|unix.X_OK)
		if _, there := os.Lstat(dir); err == unix.ENOENT && there != nil { // and no link to a disk that is not mounted now
			err = unix.Access(state, unix.W_OK|unix.X_OK)
		}
		if err == nil {
			return dir
		}
	}
	return ""
}

// openLogOf opens the log of a mount at the first place where that is possible; nil where there is none.
func openLogOf(mountpoint string) *logFile {
	for _, state := range stateDirs(mountpoint) {
		if file, err := openLog(filepath.Join(state, "log", logName(mountpoint))); err == nil {
			return file
		}
	}
	return nil
}

// warnOfNoPlace warns of what will be missing where there is no place for it on this machine.
func warnOfNoPlace(log *slog.Logger, logged, rescued bool) {
	switch {
	case !logged && !rescued:
		log.Warn("no directory can be written for a log and for bytes that can't be delivered, so neither is kept; name some with log_file and rescue_dir")
	case !logged:
		log.Warn("no directory can be written for a log, so none is kept; name one with log_file")
	case !rescued:
		log.Warn("no directory can be written for bytes that can't be delivered, so they will be lost; name one with rescue_dir")
	}
}
