package mountpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// As a library is, whose file is closed when it is loaded.
func TestWhoHasAFileMappedUsesItsMount(t *testing.T) {
	for _, name := range []string{"plain", "with spaces", "in two\nlines"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			library := filepath.Join(dir, "library")
			if err := os.WriteFile(library, []byte("content"), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(library)
			if err != nil {
				t.Fatal(err)
			}
			mapped, err := unix.Mmap(int(f.Fd()), 0, 7, unix.PROT_READ, unix.MAP_PRIVATE)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			self := fmt.Sprint("/proc/", os.Getpid())
			if !holds(self, dir) {
				t.Error("who has a file mapped is not seen")
			}
			if holds(self, dir+"/other") {
				t.Error("it is taken for a user of another directory")
			}
			if err := unix.Munmap(mapped); err != nil {
				t.Fatal(err)
			}
			if holds(self, dir) {
				t.Error("it is taken for a user when it has nothing any more")
			}
		})
	}
}
