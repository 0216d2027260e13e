package fusefs_test

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// leftOut names each case that an SFTP mount can't pass, and why.
var leftOut = map[string]string{
	"Fallocate":         "SFTP has no request that reserves space; EOPNOTSUPP makes the C library write zeros instead",
	"FallocateKeepSize": "SFTP has no request that reserves space behind the end of a file",
	"OpenSymlinkRace": "SFTP opens by path, so an open of a name that is replaced over and over by other kinds of files " +
		"may give ESTALE, as on NFS; what else the case wants is tested by TestOpenNeverFollowsALinkOnTheServer",
	"FcntlFlockLocksFile": "it wants two descriptors of one process to exclude each other, which fcntl locks don't do " +
		"on local disks either; that they exclude other processes is tested by TestLocksHoldBetweenProcesses",
}

func TestPosix(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.FreeSymlinks = true }) // some make links that lead out of the mount
	for name := range leftOut {
		if posixtest.All[name] == nil {
			t.Errorf("there is no case %s to leave out", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(posixtest.All)) {
		t.Run(name, func(t *testing.T) {
			if why, ok := leftOut[name]; ok {
				t.Skip(why)
			}
			dir := m.path(name)
			check(t, os.Mkdir(dir, 0o755))
			posixtest.All[name](t, dir)
		})
	}
}
