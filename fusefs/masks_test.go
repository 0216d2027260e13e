package fusefs_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMasksOfFilesAndOfDirectories(t *testing.T) {
	files, dirs, both := uint32(0o137), uint32(0o022), uint32(0o077)
	for name, test := range map[string]struct {
		file, dir, umask *uint32
		want             map[string]uint32
	}{
		"each its own":     {&files, &dirs, &both, map[string]uint32{"file": unix.S_IFREG | 0o640, "dir": unix.S_IFDIR | 0o755}},
		"files alone":      {&files, nil, nil, map[string]uint32{"file": unix.S_IFREG | 0o640, "dir": unix.S_IFDIR | 0o711}},
		"files, and umask": {&files, nil, &both, map[string]uint32{"file": unix.S_IFREG | 0o640, "dir": unix.S_IFDIR | 0o700}},
		"directories":      {nil, &dirs, nil, map[string]uint32{"file": unix.S_IFREG | 0o604, "dir": unix.S_IFDIR | 0o755}},
	} {
		t.Run(name, func(t *testing.T) {
			m := mount(t, func(s *setup) { s.Mount.FileMask, s.Mount.DirMask, s.Mount.Umask = test.file, test.dir, test.umask })
			put(t, m.server("file"), "content")
			check(t, os.Chmod(m.server("file"), 0o604))
			check(t, os.Mkdir(m.server("dir"), 0o711))
			check(t, os.Chmod(m.server("dir"), 0o711))
			for name, want := range test.want {
				if st := lstat(t, m.path(name)); st.Mode != want {
					t.Errorf("%s is shown with mode %o, want %o", name, st.Mode, want)
				}
			}
		})
	}
}
