package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A user may have the rescue files on a disk that is not always there.
func TestALinkThatLeadsNowhereIsNoPlaceForRescueFiles(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	if err := os.Symlink(filepath.Join(first, "disk"), filepath.Join(first, "rescue")); err != nil {
		t.Fatal(err)
	}
	if got, want := rescueDir([]string{first, second}), filepath.Join(second, "rescue"); got != want {
		t.Errorf("rescue files go to %q, want %q", got, want)
	}
	if err := os.Mkdir(filepath.Join(first, "disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, want := rescueDir([]string{first, second}), filepath.Join(first, "rescue"); got != want {
		t.Errorf("with the disk rescue files go to %q, want %q", got, want)
	}
}

func TestARescueDirectoryThatIsThereAndCantBeWrittenIsRefusedBeforeTheMount(t *testing.T) {
	w := newWorld(t)
	place := filepath.Join(w.dir, "place")
	if err := os.Mkdir(place, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // who may write everywhere else
		if err := unix.Mount("tmpfs", place, "tmpfs", unix.MS_RDONLY, ""); err != nil {
			t.Skipf("mounting is not allowed here: %v", err)
		}
		t.Cleanup(func() { unix.Unmount(place, unix.MNT_DETACH) })
	} else if err := os.Chmod(place, 0o555); err != nil {
		t.Fatal(err)
	}
	w.want(exitFailure, []string{"rescue_dir: " + place}, "-F", w.client.Config, "try:", w.mnt, "-o", "rescue_dir="+place)
}
