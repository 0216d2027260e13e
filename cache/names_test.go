package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestErrnoOfRefusedOperations(t *testing.T) {
	r := newRig(t, nil)
	r.put("file", "x")
	r.put("dir/inner", "x")
	r.put("dir2/inner", "x")
	root := r.Root()
	long := strings.Repeat("n", 256)
	dirNode := func(p string) *Node { return r.mustFind(p).Node }
	for _, tc := range []struct {
		name string
		do   func(r *rig) error
		want syscall.Errno
	}{
		{"mkdir over a file", func(r *rig) error { _, err := r.Mkdir(ctxOf(t), root, "file", 0o755); return err }, syscall.EEXIST},
		{"symlink over a file", func(r *rig) error { _, err := r.Symlink(ctxOf(t), root, "file", "x"); return err }, syscall.EEXIST},
		{"create exclusively over a file", func(r *rig) error {
			_, _, err := r.Create(ctxOf(t), root, "file", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
			return err
		}, syscall.EEXIST},
		{"rmdir of a full directory", func(r *rig) error { return r.Rmdir(ctxOf(t), root, "dir") }, syscall.ENOTEMPTY},
		{"rmdir of a file", func(r *rig) error { return r.Rmdir(ctxOf(t), root, "file") }, syscall.ENOTDIR},
		{"rmdir of nothing", func(r *rig) error { return r.Rmdir(ctxOf(t), root, "nothing") }, syscall.ENOENT},
		{"unlink of a directory", func(r *rig) error { return r.Unlink(ctxOf(t), root, "dir") }, syscall.EISDIR},
		{"unlink of nothing", func(r *rig) error { return r.Unlink(ctxOf(t), root, "nothing") }, syscall.ENOENT},
		{"rename of nothing", func(r *rig) error { return r.Rename(ctxOf(t), root, "nothing", root, "y", false) }, syscall.ENOENT},
		{"rename of a file over a directory", func(r *rig) error { return r.Rename(ctxOf(t), root, "file", root, "dir", false) }, syscall.EISDIR},
		{"rename of a directory over a file", func(r *rig) error { return r.Rename(ctxOf(t), root, "dir", root, "file", false) }, syscall.ENOTDIR},
		{"rename over a full directory", func(r *rig) error { return r.Rename(ctxOf(t), root, "dir", root, "dir2", false) }, syscall.ENOTEMPTY},
		{"rename without replacing", func(r *rig) error { return r.Rename(ctxOf(t), root, "dir", root, "dir2", true) }, syscall.EEXIST},
		{"a name of 256 bytes", func(r *rig) error { _, err := r.Mkdir(ctxOf(t), root, long, 0o755); return err }, syscall.ENAMETOOLONG},
		{"look-up of a name of 256 bytes", func(r *rig) error { _, err := r.Lookup(ctxOf(t), root, long); return err }, syscall.ENAMETOOLONG},
		{"open of a directory", func(r *rig) error { _, _, err := r.Open(ctxOf(t), dirNode("dir"), syscall.O_RDONLY); return err }, syscall.EISDIR},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantErrno(t, tc.do(r), tc.want)
		})
		t.Run(tc.name+", nothing known before", func(t *testing.T) {
			r.mu.Lock()
			for _, name := range []string{"file", "dir", "dir2"} {
				if n := r.child(root, name); n != nil {
					n.expire()
				}
			}
			r.dropListing(root)
			root.dir.missing = nil
			r.mu.Unlock()
			wantErrno(t, tc.do(r), tc.want)
		})
	}
}

func TestAFileLongerThanTheServerHoldsIsEFBIG(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "x")
	const tooLong = 1 << 61
	if err := os.Truncate(filepath.Join(r.dir, "f"), tooLong); !errors.Is(err, syscall.EFBIG) {
		t.Skipf("the file system here holds a file of %d bytes: %v", int64(tooLong), err)
	}
	h, _, err := r.Open(ctxOf(t), r.mustFind("f").Node, syscall.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(tooLong)
	_, _, err = r.Setattr(ctxOf(t), h.Node(), h, SetAttr{Size: &size})
	wantErrno(t, err, syscall.EFBIG)
	if _, err := h.Write(ctxOf(t), []byte("x"), tooLong); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, h.Flush(ctxOf(t)), syscall.EFBIG)
	h.Release()
}

func TestAFullDiskIsENOSPC(t *testing.T) {
	small := smallDisk(t)
	r := newRig(t, func(o *Options) { o.Root = small })
	_, h, err := r.Create(ctxOf(t), r.Root(), "big", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	data := strings.Repeat("0123456789abcdef", 64<<10/16)
	for off := int64(0); off < 1<<20; off += int64(len(data)) {
		if _, err := h.Write(ctxOf(t), []byte(data), off); err != nil {
			wantErrno(t, err, syscall.ENOSPC)
			break
		}
	}
	wantErrno(t, h.Flush(ctxOf(t)), syscall.ENOSPC)
	wantErrno(t, h.Flush(ctxOf(t)), syscall.ENOSPC)
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.ENOSPC)
	h.Release()
	rescued := r.Status().Rescued
	if len(rescued) != 1 || !strings.Contains(rescued[0], filepath.Join(small, "big")) {
		t.Fatalf("rescued: %q", rescued)
	}
	// What the server took and what was rescued are the whole file together.
	onServer, err := os.ReadFile(filepath.Join(small, "big"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(strings.SplitN(rescued[0], ": ", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	for off := 0; off < 1<<20; off++ {
		want := data[off%16]
		if (off >= len(onServer) || onServer[off] != want) && (off >= len(kept) || kept[off] != want) {
			t.Fatalf("byte %d is neither on the server nor rescued", off)
		}
	}
}

func TestUnlinkedOpenFileStaysUsable(t *testing.T) {
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "tmp", syscall.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if err := r.Unlink(ctxOf(t), r.Root(), "tmp"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctxOf(t), []byte("hidden"), 0); err != nil {
		t.Fatal(err)
	}
	if got := r.readOpen(h); got != "hidden" {
		t.Errorf("read %q", got)
	}
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	a, _, err := r.Getattr(ctxOf(t), f.Node, h)
	if err != nil || a.Size != 6 || a.Nlink != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	size := uint64(3)
	if a, _, err = r.Setattr(ctxOf(t), f.Node, h, SetAttr{Size: &size}); err != nil || a.Size != 3 {
		t.Errorf("truncated: %+v, %v", a, err)
	}
	if got := r.readOpen(h); got != "hid" {
		t.Errorf("read %q", got)
	}
}

func TestAHandleFollowsItsFileThroughARename(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "content")
	h, _, err := r.Open(ctxOf(t), r.mustFind("d/f").Node, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	r.srv.Cut()
	if got := r.readOpen(h); got != "content" {
		t.Errorf("read %q after a cut and a rename of the directory", got)
	}
}

func TestCopyOnTheServer(t *testing.T) {
	r := newRig(t, nil)
	content := strings.Repeat("0123456789", 100_000)
	src := r.create(r.Root(), "src", "")
	sh, _, err := r.Open(ctxOf(t), src.Node, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer sh.Release()
	// Not acknowledged yet when the copy is asked for.
	if _, err := sh.Write(ctxOf(t), []byte(content), 0); err != nil {
		t.Fatal(err)
	}
	f, dh, err := r.Create(ctxOf(t), r.Root(), "dst", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.Copy(ctxOf(t), sh, 0, dh, 0, 1<<40)
	if err != nil {
		wantErrno(t, err, syscall.EOPNOTSUPP)
		dh.Release()
		t.Skip("this sftp-server has no copy-data (it came with OpenSSH 9.0)")
	}
	if n != int64(len(content)) {
		t.Errorf("%d bytes were copied of %d", n, len(content))
	}
	if n, err = r.Copy(ctxOf(t), sh, 10, dh, int64(len(content)), 5); n != 5 || err != nil {
		t.Errorf("second piece: %d, %v", n, err)
	}
	if a, _, err := r.Getattr(ctxOf(t), f.Node, dh); err != nil || a.Size != uint64(len(content)+5) {
		t.Errorf("size %d, %v", a.Size, err)
	}
	if got := r.readOpen(dh); got != content+"01234" {
		t.Error("the copy reads otherwise")
	}
	if err := dh.Flush(ctxOf(t)); err != nil {
		t.Error(err)
	}
	dh.Release()
	if r.remote("dst") != content+"01234" {
		t.Error("the copy on the server is another")
	}
}

func TestAFileFetchedAheadStaysReadableWithoutItsName(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Timeout = 200 * time.Millisecond })
	for i := range 6 {
		r.put(fmt.Sprint("f", i), "content")
	}
	var open []*Handle
	for _, e := range r.list(r.Root()) {
		h, _, err := r.Open(ctxOf(t), r.mustFind(e.Name).Node, syscall.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Release()
		open = append(open, h)
		if err := r.Unlink(ctxOf(t), r.Root(), e.Name); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond) // what is known of them has had its time
	for _, h := range open {
		if a, _, err := r.Getattr(ctxOf(t), h.Node(), h); err != nil || a.Size != 7 {
			t.Errorf("fstat: size %d, %v", a.Size, err)
		}
		if got := r.readOpen(h); got != "content" {
			t.Errorf("read %q", got)
		}
	}
}

func TestARefusedTruncationLosesNobodysBytes(t *testing.T) {
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctxOf(t), []byte("hello"), 0); err != nil {
		t.Fatal(err)
	}
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPEN" || p.Name == "SETSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	if _, _, err := r.Open(ctxOf(t), f.Node, syscall.O_WRONLY|syscall.O_TRUNC); err == nil {
		t.Error("the opening was not refused")
	}
	size := uint64(0)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Size: &size}); err == nil {
		t.Error("the truncation was not refused")
	} else {
		wantErrno(t, err, syscall.EACCES)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	h.Release()
	if got := r.remote("f"); got != "hello" {
		t.Errorf("the server has %q", got)
	}
}

func TestAMadeDirectoryIsNotTheOneThatWasThere(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/x", "1")
	d := r.mustFind("d")
	r.list(d.Node)
	if err := os.RemoveAll(filepath.Join(r.dir, "d")); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	d.Node.expire() // its listing outlives its attributes
	r.mu.Unlock()
	made, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.list(made.Node); len(got) != 0 {
		t.Errorf("the new directory lists %v", got)
	}
}

func TestAReaderOutlivesACutAfterAnotherHandleWrote(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	reader, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	writer, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(writer, "CONTENT!")
	r.finish(writer)
	waitFor(t, "the mtime is learnt", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !n.file.written.untold
	})
	r.srv.Cut()
	n.file.data.Drop()
	if got := r.readOpen(reader); got != "CONTENT!" {
		t.Errorf("read %q", got)
	}
}
