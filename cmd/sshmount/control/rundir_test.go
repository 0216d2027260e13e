package control

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSocketsAreNotWhereAnotherUserCouldReplaceThem(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"another user's": func(dir string) error { return os.Chown(dir, 12345, 12345) },
		"everybody may rename what is not theirs": func(dir string) error { return os.Chmod(dir, 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			runtime := runtimeDir(t)
			if err := spoil(runtime); err != nil {
				t.Skip(err)
			}
			dir, err := MakeDir()
			if err != nil || strings.HasPrefix(dir, runtime) {
				t.Errorf("the socket is to be in %q; %v", dir, err)
			}
			if list := dirs(); slices.ContainsFunc(list, func(d string) bool { return strings.HasPrefix(d, runtime) }) {
				t.Errorf("mounts are looked for in %q", list)
			}
			if _, err := os.Lstat(filepath.Join(runtime, "sshmount")); err == nil {
				t.Error("a directory was left there")
			}
		})
	}
}

func TestSocketsMayBeInAStickyDirectoryOfAll(t *testing.T) {
	runtime := runtimeDir(t)
	if err := os.Chmod(runtime, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if dir, err := MakeDir(); err != nil || dir != filepath.Join(runtime, "sshmount") {
		t.Errorf("the socket is to be in %q; %v", dir, err)
	}
}

func TestADirectoryOfOthersIsNotTrusted(t *testing.T) {
	dir := filepath.Join(runtimeDir(t), "sshmount")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := checkDir(dir); err == nil {
		t.Error("an open directory is trusted")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	if err := checkDir(dir); err == nil {
		t.Error("a link is trusted")
	}
}
