package sftpserve

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestALinksTargetIsStoredAsSent(t *testing.T) {
	dir := t.TempDir()
	_, c := start(t, Options{Dir: dir})
	out, err := client(t, c, "mkdir sub", "ln -s rel sub/ln", "ln -s ../up "+dir+"/sub/up", "ln -s /etc/abs abs")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for link, want := range map[string]string{"sub/ln": "rel", "sub/up": "../up", "abs": "/etc/abs"} {
		if target, err := os.Readlink(filepath.Join(dir, link)); err != nil || target != want {
			t.Errorf("%s leads to %q, %v; sent was %q", link, target, err, want)
		}
	}
}

func TestRelativePathsBeginInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	_, c := start(t, Options{Dir: dir})
	local := filepath.Join(t.TempDir(), "local")
	if err := os.WriteFile(local, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := client(t, c, "mkdir a", "cd a", "put "+local+" one", "ln one hard", "rename one two", "chmod 640 two", "cd ..", "ls -l a",
		"get a/two "+local+".back", "ln -s a/two soft", "get soft "+local+".soft", "df", "mkdir a/b", "rmdir a/b", "rm a/hard")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a/two")); err != nil || string(got) != "content" {
		t.Errorf("a/two holds %q, %v", got, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "a")); err != nil || len(left) != 1 {
		t.Errorf("a has %v, %v", left, err)
	}
}

// packet makes a packet with strings behind its id.
func packet(kind byte, strs ...string) []byte {
	body := []byte{kind, 0, 0, 0, 7}
	for _, s := range strs {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(s))), s...)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestOnlyRelativePathsAreRewritten(t *testing.T) {
	short := packet(fxpStat, "relative")
	short = short[:len(short)-3]
	binary.BigEndian.PutUint32(short, uint32(len(short)-4)) // the path is said to be longer than the packet
	large := strings.Repeat("x", 100_000)
	var sent, want []byte
	for _, p := range []struct{ sent, want []byte }{
		{packet(fxpSymlink, "t", "l"), packet(fxpSymlink, "t", "/dir/l")},
		{packet(fxpRename, "a", "/b"), packet(fxpRename, "/dir/a", "/b")},
		{packet(fxpRealpath, ""), packet(fxpRealpath, "/dir")},
		{packet(fxpOpen, "f", "rest"), packet(fxpOpen, "/dir/f", "rest")},
		{packet(6, "h", large), packet(6, "h", large)}, // WRITE
		{packet(fxpExtended, "posix-rename@openssh.com", "a", "b"), packet(fxpExtended, "posix-rename@openssh.com", "/dir/a", "/dir/b")},
		{packet(fxpExtended, "fsync@openssh.com", "h"), packet(fxpExtended, "fsync@openssh.com", "h")},
		{packet(fxpExtended, "statvfs@openssh.com", "."), packet(fxpExtended, "statvfs@openssh.com", "/dir")},
		{short, short},
		{[]byte{0, 0, 0, 2, fxpStat, 0}, []byte{0, 0, 0, 2, fxpStat, 0}},
	} {
		sent, want = append(sent, p.sent...), append(want, p.want...)
	}
	for how, from := range map[string]io.Reader{"whole": bytes.NewReader(sent), "byte by byte": iotest.OneByteReader(bytes.NewReader(sent))} {
		if got, err := io.ReadAll(newAbsolute(from, "/dir")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %q, %v;\nwant %q", how, got, err, want)
		}
	}
}
