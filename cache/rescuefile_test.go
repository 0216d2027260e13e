package cache

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unicode"
)

func TestBytesAreRescuedAgainAfterTheUserTookTheRescueFile(t *testing.T) {
	r := newRig(t, nil)
	lose := r.losing("f")
	for _, content := range []string{"first", "second"} {
		lose(content)
		if got := r.rescued("f"); len(got) != 1 || got[0] != content {
			t.Errorf("rescued: %q, want %q alone", got, content)
		}
		if err := os.RemoveAll(r.o.RescueDir); err != nil { // to put the bytes back where they belong
			t.Fatal(err)
		}
	}
}

// Names come from the server or from other programs: in notes and file names they must not steer a terminal, nor add lines.
func TestARescueTellsOddNamesWithoutTheirControlCharacters(t *testing.T) {
	r := newRig(t, nil)
	r.losing("a\x1b[2J\u009b*\nfake")("content")
	files, err := filepath.Glob(filepath.Join(r.o.RescueDir, "*-a_\\[2J___fake*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, ".txt") {
			continue
		}
		note, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.TrimSuffix(string(note), "\n"); strings.ContainsFunc(text, unicode.IsControl) || !strings.Contains(text, `a\x1b[2J\u009b*\nfake`) {
			t.Errorf("the note is %q", text)
		}
	}
}

func TestManySmallPiecesAreRescuedWithFewSyncsOfTheDisk(t *testing.T) {
	r := newRig(t, nil)
	let := make(chan struct{})
	done := sync.OnceFunc(func() { close(let) })
	t.Cleanup(done)
	var syncs atomic.Int32
	r.rescue.sync = func(*os.File) error {
		syncs.Add(1)
		<-let // a slow disk
		return nil
	}
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	answer := r.refuseLater("WRITE")
	const pieces, apart = 200, 8192
	for i := range pieces {
		if _, err := h.Write(ctxOf(t), []byte("piece"), int64(i*apart)); err != nil {
			t.Fatal(err)
		}
	}
	answer()
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EACCES) // and does not wait for the disk
	done()
	r.rescue.wait()
	if n := syncs.Load(); n < 1 || n > 2 {
		t.Errorf("%d syncs of the disk for %d pieces of one file", n, pieces)
	}
	got := r.rescued("f")
	if len(got) != 1 || strings.Count(got[0], "piece") != pieces {
		t.Errorf("%d rescue files, or not all of the pieces", len(got))
	}
}

// Bytes of two times at one place are two files: the later ones must not take the place of the earlier.
func TestRescuedBytesAreNotWrittenOver(t *testing.T) {
	r := newRig(t, nil)
	lose := r.losing("f")
	for _, content := range []string{"the long first", "second"} {
		lose(content)
	}
	got := r.rescued("f")
	slices.Sort(got)
	if !slices.Equal(got, []string{"second", "the long first"}) {
		t.Errorf("rescued: %q", got)
	}
}

// Where this disk is full, too, there is no rescue file to look for bytes in.
func TestBytesThatCouldNotBeRescuedAreNotCalledRescued(t *testing.T) {
	disk := smallDisk(t)
	r := newRig(t, func(o *Options) { o.RescueDir = filepath.Join(disk, "rescue") })
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	lose := r.losing("f")
	lose("lost")
	if got := r.rescued("f"); len(got) > 0 {
		t.Errorf("there are rescue files of %q", got)
	}
	if got := r.rescue.list(); len(got) > 0 {
		t.Errorf("the status calls rescued: %q", got)
	}
	if err := r.Sync(ctxOf(t)); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("sync reports: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	lose("kept")
	if got := r.rescued("f"); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("rescued when there was room again: %q", got)
	}
	if got := r.rescue.list(); len(got) != 1 {
		t.Errorf("and the status: %q", got)
	}
}
