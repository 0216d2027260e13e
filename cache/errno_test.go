package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
)

// The numbers are those of draft-ietf-secsh-filexfer-13, section 9.1.
func TestEachStatusCodeHasItsErrno(t *testing.T) {
	for _, tt := range []struct {
		code uint32
		op   string
		want syscall.Errno
	}{
		{2, "open", syscall.ENOENT},
		{3, "open", syscall.EACCES},
		{3, "setattr", syscall.EPERM},
		{4, "open", syscall.EIO},
		{5, "open", syscall.EINVAL},
		{6, "open", syscall.EIO},
		{7, "open", syscall.EIO},
		{8, "open", syscall.EOPNOTSUPP},
		{9, "read", syscall.EBADF},
		{10, "open", syscall.ENOENT},
		{11, "mkdir", syscall.EEXIST},
		{12, "write", syscall.EROFS},
		{13, "open", syscall.ENXIO},
		{14, "write", syscall.ENOSPC},
		{15, "write", syscall.EDQUOT},
		{16, "setattr", syscall.EINVAL},
		{17, "write", syscall.EAGAIN},
		{18, "rmdir", syscall.ENOTEMPTY},
		{19, "rmdir", syscall.ENOTDIR},
		{20, "create", syscall.EINVAL},
		{21, "open", syscall.ELOOP},
		{22, "unlink", syscall.EPERM},
		{23, "open", syscall.EINVAL},
		{24, "open", syscall.EISDIR},
		{25, "write", syscall.EAGAIN},
		{26, "write", syscall.EAGAIN},
		{27, "create", syscall.EBUSY},
		{28, "read", syscall.EIO},
		{29, "setattr", syscall.EPERM},
		{30, "setattr", syscall.EPERM},
		{31, "write", syscall.EIO},
		{32, "open", syscall.EIO},
	} {
		err := withErrno(tt.op, "/f", fmt.Errorf("%s: %w", tt.op, &session.StatusError{Code: tt.code}))
		if !errors.Is(err, tt.want) {
			t.Errorf("status %d of %s: %v, want %v", tt.code, tt.op, err, tt.want)
		}
	}
}

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
	_, _, err = r.Setattr(ctxOf(t), h.n, h, SetAttr{Size: &size})
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
	for off := range 1 << 20 {
		want := data[off%16]
		if (off >= len(onServer) || onServer[off] != want) && (off >= len(kept) || kept[off] != want) {
			t.Fatalf("byte %d is neither on the server nor rescued", off)
		}
	}
}
