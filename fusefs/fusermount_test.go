package fusefs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A system with FUSE 2 alone has no fusermount3.
func TestTheHelperOfFUSE2UnmountsWhereThereIsNoOther(t *testing.T) {
	defer func(names []string) { fusermounts = names }(fusermounts)
	fusermounts = []string{"fusermount3", "fusermount"}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	said := filepath.Join(dir, "said")
	script := "#!/bin/sh\necho \"$*\" >" + said + "\n"
	if err := os.WriteFile(filepath.Join(dir, "fusermount"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := UnmountByHelper("/mnt/a b", true); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(said); err != nil || strings.TrimSpace(string(got)) != "-u -z -- /mnt/a b" {
		t.Errorf("it was run with %q, %v", got, err)
	}
}

func TestAMissingHelperIsNamedWithItsPackage(t *testing.T) {
	defer func(names []string) { fusermounts = names }(fusermounts)
	fusermounts = []string{"fusermount3", "fusermount"}
	t.Setenv("PATH", t.TempDir())
	if err := UnmountByHelper("/mnt", false); err == nil || !strings.Contains(err.Error(), "package fuse3") {
		t.Errorf("the error is %v", err)
	}
}
