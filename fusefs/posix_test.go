package fusefs_test

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// beyondSFTP names each case that no SFTP mount can pass, and why.
var beyondSFTP = map[string]string{
	"Fallocate":         "SFTP has no request that reserves space; EOPNOTSUPP makes the C library write zeros instead",
	"FallocateKeepSize": "SFTP has no request that reserves space behind the end of a file",
}

func TestPosix(t *testing.T) {
	m := mount(t)
	for name := range beyondSFTP {
		if posixtest.All[name] == nil {
			t.Errorf("there is no case %s to leave out", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(posixtest.All)) {
		t.Run(name, func(t *testing.T) {
			if why, ok := beyondSFTP[name]; ok {
				t.Skip(why)
			}
			dir := m.path(name)
			check(t, os.Mkdir(dir, 0o755))
			posixtest.All[name](t, dir)
		})
	}
}
