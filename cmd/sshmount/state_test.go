package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/mountpoint"
)

// A home that can't be written is here a file: as root nothing else refuses.
func TestAMountComesAboutWithoutAHomeForItsLog(t *testing.T) {
	w := newWorld(t)
	w.write(filepath.Join(w.dir, "file"), "")
	cmd := w.command(t.Context(), "sshmount", "-F", w.client.Config, "try:", w.mnt)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+filepath.Join(w.dir, "file"))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Fatalf("it ends with %v and says:\n%s", err, out)
	}
	r := w.record()
	if !mountpoint.Within(r.Log, w.runtime()) {
		t.Errorf("the log is %q, want one in %s", r.Log, w.runtime())
	}
	if _, err := os.Stat(r.Log); err != nil {
		t.Error(err)
	}
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestAPlaceThatWasNamedAndCantBeWrittenIsAnError(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.dir, "file")
	w.write(file, "")
	for option, says := range map[string]string{"log_file": "log_file: ", "rescue_dir": "rescue_dir: "} {
		w.want(exitFailure, []string{says, file, "not a directory"}, "-F", w.client.Config, "try:", w.mnt, "-o", option+"="+filepath.Join(file, "below"))
	}
}

func TestWithoutAnyPlaceThereIsOneWarning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if dir := rescueDir([]string{file}); dir != "" {
		t.Errorf("rescue files would go to %s", dir)
	}
	var said strings.Builder
	log := slog.New(&spoken{w: &said, hushed: make(chan struct{})})
	warnOfNoPlace(log, false, false)
	if text := said.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "log_file") || !strings.Contains(text, "rescue_dir") {
		t.Errorf("it says %q", text)
	}
	said.Reset()
	warnOfNoPlace(log, true, true)
	if said.Len() != 0 {
		t.Errorf("without a reason it says %q", said.String())
	}
}

// sudo -E leaves root with the variables of the user.
func TestRootMakesNoDirectoriesInAnothersHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can lay out another user's home")
	}
	home := t.TempDir()
	theirs, mine := filepath.Join(home, "theirs"), filepath.Join(home, "mine")
	if err := errors.Join(os.Mkdir(theirs, 0o755), os.Mkdir(mine, 0o755), os.Chown(theirs, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	state := func(home string) string { return filepath.Join(home, ".local", "state", "sshmount") }
	for _, variable := range []string{"XDG_STATE_HOME", "HOME"} {
		t.Setenv("XDG_STATE_HOME", "")
		t.Setenv(variable, filepath.Join(theirs, "not", "there"))
		if dir := stateDir(); dir != state("/root") {
			t.Errorf("%s of another user: %s", variable, dir)
		}
		t.Setenv(variable, filepath.Join(mine, "not", "there"))
		if dir := stateDir(); !mountpoint.Within(dir, mine) {
			t.Errorf("%s of root's own: %s", variable, dir)
		}
	}
	left, err := os.ReadDir(theirs)
	if err != nil || len(left) != 0 {
		t.Errorf("made in another's home: %v, %v", left, err)
	}
}

func TestNoStateBelowTheMountPoint(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	if dirs := stateDirs("/mnt"); !slices.Contains(dirs, filepath.Join(dir, "state", "sshmount")) {
		t.Errorf("places: %q", dirs)
	}
	if dirs := stateDirs(dir); slices.ContainsFunc(dirs, func(d string) bool { return mountpoint.Within(d, dir) }) {
		t.Errorf("places below the mount point: %q", dirs)
	}
	set := &cmdline.Settings{Mountpoint: dir}
	set.Cache.RescueDir = filepath.Join(dir, "rescue")
	if err := place(set); exitCode(err) != exitUsage {
		t.Errorf("a rescue directory below the mount point: %v", err)
	}
	if _, err := os.Stat(set.Cache.RescueDir); err == nil {
		t.Error("it was made all the same")
	}
}
