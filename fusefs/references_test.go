package fusefs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatTheKernelForgetsIsForgotten(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may make the kernel forget")
	}
	const few = 20
	m := mount(t, func(s *setup) { s.Cache.MaxNames = few })
	for i := range 20 {
		dir := m.server(fmt.Sprint("dir", i))
		check(t, os.Mkdir(dir, 0o755))
		for j := range 25 {
			check(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("file", j)), nil, 0o644))
		}
	}
	seen := 0
	check(t, filepath.Walk(m.dir, func(path string, _ os.FileInfo, err error) error {
		seen++
		return err
	}))
	if seen != 1+20+20*25 {
		t.Fatalf("walked over %d names", seen)
	}
	eventually(t, "a small tree after the kernel has dropped its own", func() bool {
		// Other mounts of this machine lose what can be had again, nothing else.
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("2\n"), 0); err != nil {
			t.Skipf("the kernel can't be made to forget: %v", err)
		}
		return m.tell("status").Status.Names <= 3*few
	})
	has(t, m.path("dir7/file7"), "")
}
