package cmdline

import (
	"os/user"
	"reflect"
	"strings"
	"testing"
)

func TestNamesOfTheProgram(t *testing.T) {
	tests := []struct {
		name            string
		helper, asSshfs bool
	}{
		{"sshmount", false, false},
		{"/usr/bin/sshfs", false, true},
		{"mount.sshfs", true, true},
		{"/sbin/mount.fuse.sshmount", true, false},
		{"mount.fuse.sshfs", true, true},
		{"mount.sshmount", true, false},
	}
	for _, test := range tests {
		s, err := Parse(test.name, []string{"h:", "/mnt"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if s.form.helper != test.helper || s.form.sshfs != test.asSshfs || IsHelper(test.name) != test.helper {
			t.Errorf("%s: helper %v, sshfs %v", test.name, s.form.helper, s.form.sshfs)
		}
		want := "sshmount"
		if test.asSshfs {
			want = "sshfs"
		}
		if s.Mount.Subtype != want {
			t.Errorf("%s: type %s, want %s", test.name, s.Mount.Subtype, want)
		}
	}
}

// The arguments are those that mount(8) of util-linux 2.38 gives to a helper.
func TestAsHelperOfMount(t *testing.T) {
	s, err := Parse("/sbin/mount.fuse.sshmount", []string{"u@h:/d", "/mnt", "-v", "-o", "rw,noexec,nosuid,nodev,reconnect,_netdev,user,nofail"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Mount.NoExec || s.Foreground || s.Mount.SingleThreaded {
		t.Errorf("got %+v", s.Mount)
	}
	s, err = Parse("mount.fuse.sshmount", []string{"u@h:/d", "/mnt", "-s", "-n", "-o", "rw,something_new,suid", "-t", "fuse.sshmount"}, true)
	if err != nil {
		t.Fatalf("mount -s passes over what is not known: %v", err)
	}
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "something_new") {
		t.Errorf("warnings: %q", s.Warnings)
	}
	if !s.Mount.Suid {
		t.Error("suid of an fstab line is not obeyed")
	}
}

func TestThroughMountFuse3SuidAndDevAreNobodysWish(t *testing.T) {
	for _, test := range []struct {
		args      []string
		viaMount  bool
		suid, dev bool
	}{
		{[]string{"u@h:/d", "/mnt", "-o", "suid,rw"}, true, false, false},
		{[]string{"u@h:/d", "/mnt", "-o", "rw,dev,suid"}, false, false, false}, // pam_mount runs mount.fuse3 without mount(8)
		{[]string{"u@h:/d", "/mnt", "-o", "dev,suid"}, false, false, false},
		{[]string{"u@h:/d", "/mnt", "-o", "suid,dev"}, false, true, true},
		{[]string{"-o", "dev,suid", "u@h:/d", "/mnt"}, false, true, true},
		{[]string{"u@h:/d", "/mnt", "-o", "suid"}, false, true, false},
	} {
		s, err := Parse("sshmount", test.args, test.viaMount)
		if err != nil {
			t.Fatal(err)
		}
		if s.Mount.Suid != test.suid || s.Mount.Dev != test.dev {
			t.Errorf("%q, behind mount(8) %v: suid %v, dev %v", test.args, test.viaMount, s.Mount.Suid, s.Mount.Dev)
		}
	}
}

// A weaker promise must never come in by a word that has another meaning.
func TestAsyncOfMountIsNotOurs(t *testing.T) {
	for _, name := range []string{"sshfs", "mount.fuse.sshmount", "mount.sshfs"} {
		s, err := Parse(name, []string{"h:", "/mnt", "-o", "rw,async"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if s.Cache.Async || len(s.Warnings) != 1 {
			t.Errorf("%s: async %v, warnings %q", name, s.Cache.Async, s.Warnings)
		}
		if s, err = Parse(name, []string{"h:", "/mnt", "-o", "sshmount_async"}, false); err != nil || !s.Cache.Async {
			t.Errorf("%s: sshmount_async is not obeyed (%v)", name, err)
		}
	}
	if s, err := Parse("sshmount", []string{"h:", "/mnt", "-o", "rw,async"}, true); err != nil || s.Cache.Async {
		t.Errorf("through mount.fuse3: async is ours (%v)", err)
	}
}

// Of the word 'user' in /etc/fstab util-linux before 2.39 makes user=NAME, with the name of who mounts. mount.fuse3 takes only
// the bare word away.
func TestTheUserOfMountIsNoLogin(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, options string
		viaMount      bool
		login         []string // what ssh is told
		warned        string
	}{
		{"mount.fuse.sshmount", "rw,user=" + me.Username, true, nil, ""},
		{"sshmount", "rw,user=" + me.Username, true, nil, ""},
		{"mount.fuse.sshmount", "user=somebody-else", false, nil, "somebody-else@"},
		{"mount.fuse.sshmount", "User=joe", false, []string{"User=joe"}, ""},
		{"sshmount", "user=joe", false, []string{"User=joe"}, ""},
		{"sshfs", "user=joe", false, []string{"User=joe"}, ""},
	}
	for _, test := range tests {
		s, err := Parse(test.name, []string{"h:", "/mnt", "-o", test.options}, test.viaMount)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s.Dial.SSHOptions, test.login) {
			t.Errorf("%s -o %s: ssh is told %q, want %q", test.name, test.options, s.Dial.SSHOptions, test.login)
		}
		if said := strings.Join(s.Warnings, "; "); (said != "") != (test.warned != "") || !strings.Contains(said, test.warned) {
			t.Errorf("%s -o %s: warnings %q", test.name, test.options, said)
		}
	}
}

// 'mount -f' has everything done but the mount itself.
func TestAFakeMountIsOnlyParsed(t *testing.T) {
	for name, fake := range map[string]bool{"mount.fuse.sshmount": true, "mount.sshfs": true, "sshfs": false, "sshmount": false} {
		s, err := Parse(name, []string{"h:", "/mnt", "-f", "-v", "-o", "rw"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if s.Fake != fake || s.Foreground == fake {
			t.Errorf("%s -f: fake %v, foreground %v", name, s.Fake, s.Foreground)
		}
	}
}
