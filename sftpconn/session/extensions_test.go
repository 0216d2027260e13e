package session

import (
	"bytes"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

func TestStatvfs(t *testing.T) {
	s, dir := real(t)
	var want syscall.Statfs_t
	if err := syscall.Statfs(dir, &want); err != nil {
		t.Fatal(err)
	}
	got := must(t, s.Statvfs(".")).StatVFS()
	if got.Frsize != uint64(want.Frsize) || got.Blocks != want.Blocks || got.Namemax != uint64(want.Namelen) {
		t.Errorf("%+v, the system says %+v", got, want)
	}
}

func TestCopyData(t *testing.T) {
	s, dir := real(t)
	if !s.Has(extCopyData) {
		t.Skip("this sftp-server has no copy-data (OpenSSH before 9.0)")
	}
	data := pattern(300_000)
	if err := os.WriteFile(filepath.Join(dir, "from"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	from := must(t, s.OpenFile("from", OpenRead, Attr{})).Handle()
	to := must(t, s.OpenFile("to", OpenWrite|OpenCreate, Attr{})).Handle()
	must(t, s.CopyData(from, 1000, 50_000, to, 0))
	must(t, s.CopyData(from, 200_000, 0, to, 50_000)) // to the end
	want := append(bytes.Clone(data[1000:51_000]), data[200_000:]...)
	if got, err := os.ReadFile(filepath.Join(dir, "to")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("copied: %v, %d bytes, equal %v", err, len(got), bytes.Equal(got, want))
	}
}

func TestUserGroupNames(t *testing.T) {
	s, _ := real(t)
	if !s.Has(extUsersGroups) {
		t.Skip("this sftp-server has no users-groups-by-id@openssh.com (OpenSSH before 9.1)")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(me.Uid)
	gid, _ := strconv.Atoi(me.Gid)
	const nobodyHas = 3_123_456_789
	users, groups := must(t, s.UserGroupNames([]uint32{nobodyHas, uint32(uid)}, []uint32{uint32(gid), nobodyHas})).Names()
	if len(users) != 2 || users[0] != "" || users[1] != me.Username {
		t.Errorf("users %q", users)
	}
	if len(groups) != 2 || groups[0] != group.Name || groups[1] != "" {
		t.Errorf("groups %q", groups)
	}
	if users, groups := must(t, s.UserGroupNames(nil, nil)).Names(); len(users)+len(groups) != 0 {
		t.Errorf("nothing asked: %q and %q", users, groups)
	}
}

func TestExpandPath(t *testing.T) {
	s, dir := real(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	home, err := filepath.EvalSymlinks(me.HomeDir)
	if err != nil {
		t.Skipf("the home directory of this user cannot be found: %v", err)
	}
	start, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Has(extExpandPath) {
		if got := must(t, s.ExpandPath("~/x")).Name(); got != filepath.Join(start, "x") && got != filepath.Join(home, "x") {
			t.Errorf("~/x is %q, want it below %q or %q", got, start, home)
		}
		if got := must(t, s.ExpandPath("~"+me.Username)).Name(); got != home {
			t.Errorf("~%s is %q, want %q", me.Username, got, home)
		}
	}
}

func TestMissingExtension(t *testing.T) {
	s, _ := real(t, sftptest.Args("-P", "fsync,limits"))
	if s.Has(extFsync) || !s.Has(extPosixRename) {
		t.Error("Has does not follow what the server announced")
	}
	if got := limits(t, s); got != DefaultLimits {
		t.Errorf("limits without the extension: %+v", got)
	}
	refusedWith(t, s.startExtended("no-such@example.com", answerStatus), StatusOpUnsupported)
}

func TestLimitsOfOpenSSH(t *testing.T) {
	s, _ := real(t)
	got := limits(t, s)
	if got.MaxPacket != 256<<10 || got.MaxRead != 255<<10 || got.MaxWrite != 255<<10 || got.MaxHandles == 0 {
		t.Errorf("limits %+v", got)
	}
}

func TestLimitsAreMadeSane(t *testing.T) {
	for _, c := range []struct{ said, want Limits }{
		{Limits{}, unlimited},
		{Limits{MaxPacket: 1 << 40, MaxRead: 1 << 63, MaxWrite: 1<<64 - 1, MaxHandles: 7},
			Limits{MaxPacket: 1 << 20, MaxRead: 1<<20 - 1<<10, MaxWrite: 1<<20 - 1<<10, MaxHandles: 7}},
		{Limits{MaxPacket: 1, MaxRead: 1, MaxWrite: 1}, Limits{MaxPacket: 34000, MaxRead: 4096, MaxWrite: 4096}},
		{Limits{MaxPacket: 34000}, Limits{MaxPacket: 34000, MaxRead: 34000 - 1024, MaxWrite: 34000 - 1024}},
		{Limits{MaxPacket: 65536, MaxRead: 16384, MaxWrite: 65536}, Limits{MaxPacket: 65536, MaxRead: 16384, MaxWrite: 64512}},
	} {
		if got := c.said.sane(); got != c.want {
			t.Errorf("%+v becomes %+v, want %+v", c.said, got, c.want)
		}
	}
}

// The Green End SFTP server reads SYMLINK as the draft has it, and says so.
func TestArgumentsOfSymlinkComeInTheOrderThatTheServerNames(t *testing.T) {
	for order, first := range map[string]string{"linkpath-targetpath": "link", "targetpath-linkpath": "target"} {
		tap := sftptest.NewTap()
		tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "VERSION" {
				return sftptest.ReplaceBody(join(u32(3), str(extSymlinkOrder), str(order)))
			}
			return sftptest.Pass()
		})
		got := make(chan string, 1)
		tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
			if p.Name != "SYMLINK" {
				return sftptest.Pass()
			}
			got <- p.Text
			return sftptest.Answer(StatusOK, "")
		})
		s, _ := real(t, sftptest.WithTap(tap))
		must(t, s.Symlink("target", "link"))
		if text := <-got; text != first {
			t.Errorf("with %s the first is %q", order, text)
		}
	}
}
