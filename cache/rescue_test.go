package cache

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rescued are the contents of the rescue files of a remote file.
func (r *rig) rescued(name string) (contents []string) {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.o.RescueDir, "*-"+name))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			r.t.Fatal(err)
		}
		contents = append(contents, string(b))
	}
	return contents
}

// losing makes a file, and a function that writes it from its beginning and has the server refuse that.
func (r *rig) losing(name string) (lose func(content string)) {
	r.t.Helper()
	_, h, err := r.Create(ctxOf(r.t), r.Root(), name, syscall.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(h.Release)
	r.refuse("WRITE")
	return func(content string) {
		r.t.Helper()
		if _, err := h.Write(ctxOf(r.t), []byte(content), 0); err != nil {
			r.t.Fatal(err)
		}
		wantErrno(r.t, h.Fsync(ctxOf(r.t)), syscall.EACCES)
	}
}

func TestTheRescueOfAFailedCreationNamesTheFile(t *testing.T) {
	r := newRig(t, async)
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	answer := r.refuseLater("OPEN")
	r.createUndelivered(d.Node)
	answer()
	wantErrno(t, r.Sync(ctxOf(t)), syscall.EACCES)
	r.wantRescuedBelow("d")
}

// rescuedNames are the names of the files of createUndelivered.
var rescuedNames = []string{"thesis.tex", "letter.txt"}

// createUndelivered creates files in dir whose content the server will not get.
func (r *rig) createUndelivered(dir *Node) {
	r.t.Helper()
	for _, name := range rescuedNames {
		_, h, err := r.Create(ctxOf(r.t), dir, name, syscall.O_WRONLY, 0o644)
		if err != nil {
			r.t.Fatal(err)
		}
		r.fill(h, "content of "+name)
		h.Release()
	}
}

// wantRescuedBelow wants the files of createUndelivered in the rescue directory, and in the status with their paths in dir.
func (r *rig) wantRescuedBelow(dir string) {
	r.t.Helper()
	all := strings.Join(r.Status().Rescued, "\n")
	for _, name := range rescuedNames {
		if !strings.Contains(all, "bytes of "+filepath.Join(r.dir, dir, name)+":") {
			r.t.Errorf("status does not say where the bytes of %s are:\n%s", name, all)
		}
		if got := r.rescued(name); len(got) != 1 || got[0] != "content of "+name {
			r.t.Errorf("rescued of %s: %q", name, got)
		}
	}
}

func TestALargeFileThatWasNotDeliveredIsOneReport(t *testing.T) {
	r := newRig(t, nil)
	const pieces, apart = 2 * maxReports, 8192
	for name, n := range map[string]int{"large": pieces, "small": 1} {
		_, h, err := r.Create(ctxOf(t), r.Root(), name, syscall.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Release()
		answer := r.refuseLater("WRITE")
		for i := range n {
			if _, err := h.Write(ctxOf(t), []byte("piece"), int64(i*apart)); err != nil {
				t.Fatal(err)
			}
		}
		answer()
		wantErrno(t, h.Fsync(ctxOf(t)), syscall.EACCES)
	}
	said := r.Status().Errors
	slices.SortFunc(said, func(a, b string) int { return len(b) - len(a) })
	if len(said) != 2 || !strings.Contains(said[0], "1000 bytes in 200 pieces are kept in ") || !strings.Contains(said[1], "5 bytes at 0 are kept in ") {
		t.Errorf("status: %q", said)
	}
	if err := r.Sync(ctxOf(t)); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("sync reports: %v", err)
	}
}

// initdb, for one, opens each file once more when all are written, and makes sure of it.
func TestAsyncTellsWhoOpensAFileAgainThatItsBytesWereLost(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "content")
	r.list(r.Root())
	n := r.mustFind("f").Node
	r.refuse("WRITE")
	h := r.opened(n, syscall.O_WRONLY)
	if _, err := h.Write(ctxOf(t), []byte("lost"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	_ = r.Sync(ctxOf(t)) // the bytes are in the rescue file
	again := r.opened(n, syscall.O_RDWR)
	wantErrno(t, again.Fsync(ctxOf(t)), syscall.EACCES)
	if err := again.Fsync(ctxOf(t)); err != nil {
		t.Errorf("it is told once more: %v", err)
	}
	wantErrno(t, r.Fsyncdir(ctxOf(t), r.Root()), syscall.EACCES)
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EACCES) // and so is who wrote them
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Errorf("who wrote them is told once more: %v", err)
	}
}

func TestAnFsyncThatIsInterruptedTellsTheNext(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.refuse("SETSTAT")
	mode := uint32(0o600)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	_ = r.Sync(ctxOf(t)) // and it has failed
	r.tap.OnRequest(nil)
	r.holdReply("WRITE")
	if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(ctxOf(t))
	done := make(chan error, 1)
	go func() { done <- h.Fsync(ctx) }()
	if !r.tap.WaitHeld(1, longEnough) {
		t.Fatal("nothing was written")
	}
	interrupt()
	wantErrno(t, <-done, syscall.EINTR)
	r.tap.OnReply(nil)
	r.tap.Release()
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EPERM)
}

func TestManyLostPiecesOfAFileAreOneFailure(t *testing.T) {
	small := smallDisk(t)
	r := newRig(t, func(o *Options) { o.Root, o.Async = small, true })
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.tap.SetDelay(20 * time.Millisecond) // so that many are refused before it is asked why
	for off := int64(0); off < 64<<20; off += 1 << 20 {
		if _, err := h.Write(ctxOf(t), make([]byte, 4096), off); err != nil {
			break // the writer has been told by now
		}
		if _, err := h.Write(ctxOf(t), make([]byte, 64<<10), off+1<<19); err != nil {
			break
		}
	}
	_ = r.Sync(ctxOf(t))
	if n := r.tap.Count("statvfs@openssh.com"); n > 5 {
		t.Errorf("the server was asked %d times why it has refused", n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) != 1 {
		t.Errorf("%d failures are kept", len(r.failed))
	}
}

// SFTP has no code for a full disk; the note beside the rescued file and the status name the reason all the same.
func TestARescueTellsOfAFullDisk(t *testing.T) {
	small := smallDisk(t)
	r := newRig(t, func(o *Options) { o.Root = small })
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if _, err := h.Write(ctxOf(t), make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, h.Flush(ctxOf(t)), syscall.ENOSPC)
	notes, _ := filepath.Glob(filepath.Join(r.o.RescueDir, "*.txt"))
	if len(notes) != 1 {
		t.Fatalf("%d files were rescued", len(notes))
	}
	note, err := os.ReadFile(notes[0])
	if err != nil {
		t.Fatal(err)
	}
	if full := syscall.ENOSPC.Error(); !strings.Contains(string(note), full) || !strings.Contains(strings.Join(r.Status().Errors, "\n"), full) {
		t.Errorf("the note or the status does not say that the disk is full:\n%s\n%s", note, r.Status().Errors)
	}
	if n := r.tap.Count("statvfs@openssh.com"); n > 3 {
		t.Errorf("the server was asked %d times why it has refused", n)
	}
}

func TestTimesThatCouldNotBeSetAreToldWithTheNameOfTheirFile(t *testing.T) {
	r := newRig(t, async)
	_, err := r.find("f")
	wantErrno(t, err, syscall.ENOENT)
	r.put("f", "theirs")
	f, h := r.unsaved("f")
	when := time.Unix(1_000_000_000, 0)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, h, SetAttr{Atime: &when, Mtime: &when}); err != nil {
		t.Fatal(err)
	}
	r.finish(h)
	err = r.Sync(ctxOf(t))
	if err == nil || strings.Contains(err.Error(), `""`) {
		t.Errorf("told is %v", err)
	}
}

// With sshfs_sync the program that writes is told at once, and has its bytes still.
func TestSyncWritesThatAreRefusedAreNotRescued(t *testing.T) {
	r := newRig(t, func(o *Options) { o.SyncWrites = true })
	r.put("f", "theirs")
	h := r.opened(r.mustFind("f").Node, syscall.O_RDWR)
	r.refuse("WRITE")
	_, err := h.Write(ctxOf(t), []byte("ours"), 0)
	wantErrno(t, err, syscall.EACCES)
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Errorf("Sync tells of %v", err)
	}
	if got := r.rescued("f"); len(got) > 0 {
		t.Errorf("rescued: %q", got)
	}
	if got := r.readOpen(h); got != "theirs" {
		t.Errorf("the file is read as %q", got)
	}
}
