package cmdline

import (
	"errors"
	"strings"
	"testing"
)

// refuses checks that a command line is refused with an error of this package that holds all of the words.
func refuses(t *testing.T, args []string, words ...string) {
	t.Helper()
	_, err := Parse("sshmount", args, false)
	var fault *Error
	if !errors.As(err, &fault) {
		t.Fatalf("%q: error %v, want one of the command line", args, err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q: the error has more than one line: %q", args, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q: the error does not say %q: %s", args, w, err)
		}
	}
}

func TestBlanksBetweenOptionsAreNamed(t *testing.T) {
	refuses(t, []string{"h:", "/mnt", "-o", "ro reconnect"}, `"ro reconnect"`, "commas")
}

func TestFaultsAreNamed(t *testing.T) {
	tests := []struct {
		args  string
		words []string
	}{
		{"", []string{"nothing to mount", "host:[dir]"}},
		{"h:", []string{"mount point is missing"}},
		{"/mnt", []string{"remote side is missing"}},
		{"host /mnt", []string{"host", "/mnt", "colon"}},
		{"h: /mnt /other", []string{"/other", "too many"}},
		{"h: /mnt -o recconnect", []string{"recconnect", `did you mean "reconnect"?`}},
		{"h: /mnt -o identityfle=/x", []string{`did you mean "IdentityFile"?`}},
		{"h: /mnt -o zzzzzzzzz", []string{"unknown option", "--help"}},
		{"h: /mnt -o foo", []string{`unknown option "foo"; 'sshmount --help'`}},
		{"h: /mnt -o proxyjump=gate1,gate2", []string{`"gate2"`, "ProxyJump", `\,`}},
		{"h: /mnt -o PreferredAuthentications=publickey,password", []string{`"password"`, "value of PreferredAuthentications"}},
		{"h: /mnt -o ProxyJump=gate -o zzzzzzzzz", []string{"unknown option", "--help"}},
		{"h: /mnt -o IdentityFile=/x,pasword_stdin", []string{`did you mean "password_stdin"?`}},
		{"h: /mnt --foo", []string{"--foo"}},
		{"h: /mnt -Z", []string{"-Z"}},
		{"h: /mnt -i /root/.ssh/work", []string{"-i", "-o IdentityFile="}},
		{"-J gate h: /mnt", []string{"-J", "-o ProxyJump="}},
		{"h: /mnt -p", []string{"-p needs a value"}},
		{"h: /mnt -p 0", []string{"-p", "1 to 65535"}},
		{"h: /mnt -o port=70000", []string{"1 to 65535"}},
		{"h: /mnt -F /nonexistent/file", []string{"-F", "/nonexistent/file"}},
		{"h: /mnt -o idmap=foo", []string{"idmap", "foo", "none, user, file, name"}},
		{"h: /mnt -o idmap=file", []string{"uidfile"}},
		{"h: /mnt -o max_conns=0", []string{"max_conns", "from 1"}},
		{"h: /mnt -o max_conns", []string{"max_conns", "needs a value"}},
		{"h: /mnt -o ro=1", []string{"ro", "takes no value"}},
		{"h: /mnt -o dcache_timeout=soon", []string{"soon", "seconds"}},
		{"h: /mnt -o dcache_timeout=-1", []string{"-1"}},
		{"h: /mnt -o dcache_clean_interval=x", []string{"x"}},
		{"h: /mnt -o read_budget=1", []string{"too little"}},
		{"h: /mnt -o read_budget=9999999999G", []string{"bytes"}},
		{"h: /mnt -o umask=999", []string{"octal"}},
		{"h: /mnt -o uid=me", []string{"numeric"}},
		{"h: /mnt -o workaround=magic", []string{"magic", "rename"}},
		{"h: /mnt -o ssh_protocol=3", []string{"neither 1 nor 2"}},
		{"h: /mnt -o vsock=5", []string{"CID:PORT"}},
		{"h: /mnt -o directport=99999", []string{"port"}},
		{"h: /mnt -o IdentityFile", []string{"needs a value"}},
		{"h: /mnt -o writeback_cache", []string{"write-back"}},
		{"h: /mnt -o modules=iconv", []string{"libfuse"}},
		{"h: /mnt -o remount,ro", []string{"remount", "unmount it"}},
		{"sftp://h/a?b /mnt", []string{"%3F"}},
		{"sftp://h/a#b /mnt", []string{"%23"}},
		{"h: /mnt -o passive,password_stdin", []string{"standard input"}},
		{"h: /mnt -o passive,directport=1", []string{"choose one"}},
		{"h: /mnt -o async,sshfs_sync", []string{"opposites"}},
		{"h: /mnt -o uid=-2", []string{"numeric"}},
		{": /mnt", []string{"no host"}},
		{"-- -oProxyCommand=evil: /mnt", []string{"dash"}},
		{"me@-h: /mnt", []string{"dash"}},
		{"[::1 /mnt", []string{"bracket"}},
		{"[::1] /mnt", []string{"colon"}},
		{"@h: /mnt", []string{"no user"}},
		{"sftp://me:secret@h/ /mnt", []string{"password"}},
		{"sftp:///dir /mnt", []string{"no host"}},
		{"sftp://h:99999/dir /mnt", []string{"99999", "65535"}},
		{"sftp://h:0/dir /mnt", []string{"\"0\"", "65535"}},
		{"sftp://h:22/ /mnt -p 23", []string{"22", "23"}},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) { refuses(t, strings.Fields(test.args), test.words...) })
	}
}
