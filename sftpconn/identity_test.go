package sftpconn

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// spreadOver is the number of bulk channels on which f is open for direction dir.
func spreadOver(f *File, dir int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for ch, h := range f.handles {
		if !ch.names && h.open() && h.fits(dir) {
			n++
		}
	}
	return n
}

// far makes a connection on which files are worth spreading.
func far(t *testing.T) (*sftptest.Server, *Conn) {
	tap, srv, c := tapped(t)
	tap.SetDelay(20 * time.Millisecond)
	return srv, c
}

// untilSpread is eventually for what moves data until there are further channels. Each time the streams of c begin anew: a
// busy test machine moves so little that it needs none, which says nothing about a line. And a proof that failed, as it may
// while a file changes, is tried again at once.
func untilSpread(t *testing.T, c *Conn, what string, f func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		for _, l := range c.allLinks() {
			for _, p := range []*pacer{&l.read, &l.write} {
				p.mu.Lock()
				p.starting, p.fullRounds, p.late = true, 0, 0
				p.mu.Unlock()
			}
		}
		c.filesMu.Lock()
		files := slices.Collect(maps.Keys(c.files))
		c.filesMu.Unlock()
		for _, f := range files {
			f.mu.Lock()
			clear(f.retries)
			f.mu.Unlock()
		}
		return f()
	})
}

// takeName gives path to another file, changed just now; the one that had it is path+".old".
func takeName(t *testing.T, srv *sftptest.Server, path string, other []byte) {
	t.Helper()
	if err := os.Link(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file(t, srv, "new", other), path); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
}

// Another client replaces a file that we write, with one of the same size and second.
func TestWritesStayInTheirFileWhenAnotherTakesItsName(t *testing.T) {
	srv, c := far(t)
	const size = 4 << 20
	path := file(t, srv, "f", bytes.Repeat([]byte{1}, size))
	f := openFile(t, c, path, rd|wr)
	if err := f.WriteAt(limited(t), make([]byte, 1000), 0); err != nil {
		t.Fatal(err)
	}
	other := bytes.Repeat([]byte{2}, size)
	takeName(t, srv, path, other)
	ours := bytes.Repeat([]byte{3}, size)
	// The seconds go by that a proof by mtime needs.
	for begun := time.Now(); time.Since(begun) < 2500*time.Millisecond; {
		if err := writeAll(limited(t), f, ours, 32); err != nil {
			t.Fatal(err)
		}
	}
	sameAs(t, path, other)
	sameAs(t, path+".old", ours)
}

// Another client replaces a file that grows under our writes, with one as long as ours is about to be.
func TestWritesStayInAGrowingFileWhenAnotherTakesItsName(t *testing.T) {
	srv, c := far(t)
	const begun, size = 512 << 10, 32 << 20
	for _, length := range []int{begun, 1 << 20, 2 << 20, 4 << 20} {
		path := filepath.Join(srv.Dir(), fmt.Sprint("f", length))
		f := openFile(t, c, path, wr|cre)
		ours := content(5, size)
		if err := writeAll(limited(t), f, ours[:begun], 2); err != nil {
			t.Fatal(err)
		}
		other := bytes.Repeat([]byte{2}, length)
		takeName(t, srv, path, other)
		if err := writeAll(limited(t), f, ours, 64); err != nil {
			t.Fatal(err)
		}
		sameAs(t, path, other)
		sameAs(t, path+".old", ours)
	}
}

// Another client replaces a file that we read, as a build does that runs twice.
func TestAFileThatReplacesAFreshOneIsNotReadForIt(t *testing.T) {
	srv, c := far(t)
	old, other := bytes.Repeat([]byte{1}, 8<<20), bytes.Repeat([]byte{2}, 8<<20)
	path, next := file(t, srv, "f", old), file(t, srv, "new", other)
	now := time.Now()
	os.Chtimes(path, now, now)
	os.Chtimes(next, now, now)
	f := openFile(t, c, path, rd)
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(limited(t), f, len(old), 32)
	if err != nil || !bytes.Equal(got, old) {
		t.Errorf("%d of %d bytes are of the other file: %v", bytes.Count(got, []byte{2}), len(got), err)
	}
}

func TestAFreshFileIsSpreadWhereItsDirectoryStoodStill(t *testing.T) {
	srv, c := far(t)
	want := content(1, 8<<20)
	path := file(t, srv, "f", want)
	now := time.Now()
	os.Chtimes(path, now, now)
	os.Chtimes(srv.Dir(), now, now.Add(-time.Minute))
	f := openFile(t, c, path, rd)
	untilSpread(t, c, "the file is read over several channels", func() bool {
		if _, err := readAll(limited(t), f, len(want), 32); err != nil {
			t.Fatal(err)
		}
		return spreadOver(f, reading) > 1
	})
}

func TestAFileThatGrowsIsWrittenOverSeveralChannels(t *testing.T) {
	srv, c := far(t)
	path := filepath.Join(srv.Dir(), "f")
	f := openFile(t, c, path, wr|cre)
	want := content(2, 128<<20)
	written := 0
	untilSpread(t, c, "the file is written over several channels", func() bool {
		if written == len(want) {
			t.Fatalf("written over %d channels for bulk data", spreadOver(f, writing))
		}
		if err := writeFrom(limited(t), f, want[:written+4<<20], written, 32); err != nil {
			t.Fatal(err)
		}
		written += 4 << 20
		return spreadOver(f, writing) > 1
	})
	sameAs(t, path, want[:written])
}

func TestAFileWrittenInPlaceIsSpreadWhenItsTimeHasMoved(t *testing.T) {
	srv, c := far(t)
	want := content(3, 4<<20)
	path := file(t, srv, "f", make([]byte, len(want)))
	f := openFile(t, c, path, wr)
	untilSpread(t, c, "the file is written over several channels", func() bool {
		if err := writeAll(limited(t), f, want, 32); err != nil {
			t.Fatal(err)
		}
		return spreadOver(f, writing) > 1
	})
	sameAs(t, path, want)
}

func TestAFileOpenForWritingIsReadOverSeveralChannels(t *testing.T) {
	srv, c := far(t)
	want := content(4, 8<<20)
	path := file(t, srv, "f", want)
	f := openFile(t, c, path, rd|wr)
	untilSpread(t, c, "the file is read over several channels", func() bool {
		got, err := readAll(limited(t), f, len(want), 32)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
		}
		return spreadOver(f, reading) > 1
	})
	if n := spreadOver(f, writing); n != 0 {
		t.Errorf("%d of them could be written to, and nothing has shown that they are of the same file", n)
	}
	// None of those handles may be used for what changes the file.
	other := content(5, len(want))
	if err := writeAll(limited(t), f, other, 32); err != nil {
		t.Fatal(err)
	}
	sameAs(t, path, other)
}

func TestALargeCopyMovesToItsOwnChannel(t *testing.T) {
	tap, srv, c := tapped(t)
	if !c.Has("copy-data") {
		t.Skip("this sftp-server has no copy-data")
	}
	want := content(6, 64<<20)
	src := openFile(t, c, file(t, srv, "src", want), rd)
	path := filepath.Join(srv.Dir(), "dst")
	dst := openFile(t, c, path, wr|cre)
	l := c.allLinks()[0]
	l.copyChannel()
	eventually(t, "the channel for copies is open", func() bool { return l.copyChannel() != nil })
	// The channel of names is slow with it.
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Channel == 1 && p.Request != nil && p.Request.Name == "copy-data" {
			return sftptest.Delay(200 * time.Millisecond)
		}
		return sftptest.Pass()
	})
	if _, err := c.CopyData(limited(t), src, 0, int64(len(want)), dst, 0); err != nil {
		t.Fatal(err)
	}
	sameAs(t, path, want)
	l.mu.Lock()
	own := l.copies
	l.mu.Unlock()
	dst.mu.Lock()
	defer dst.mu.Unlock()
	if h := dst.handles[own]; !h.fits(writing) || !h.open() {
		t.Error("the copy went on over the channel of names")
	}
}

// An OPEN takes long, as over a file system that wakes up.
func TestASlowOpenOnAFurtherChannelIsWaitedFor(t *testing.T) {
	tap, srv, c := tapped(t)
	path := file(t, srv, "f", nil)
	f := openFile(t, c, path, rd)
	ch := bulkChannel(t, c)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "HANDLE" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	tap.Reset()
	done := make(chan error, 1)
	go func() { done <- f.waitOpen(ch, path, ch.s.OpenFile(path, rd, Attr{}), 100*time.Millisecond) }()
	eventually(t, "somebody looked twice what has the name", func() bool { return tap.Count("LSTAT") >= 2 })
	tap.Release()
	if err := <-done; err != nil || ch.over() {
		t.Errorf("%v, channel given up: %v", err, ch.over())
	}
}

func TestAChannelOnWhichAnOpenBlocksIsGivenUp(t *testing.T) {
	_, srv, c := tapped(t)
	path := file(t, srv, "f", nil)
	f := openFile(t, c, path, rd)
	ch := bulkChannel(t, c)
	os.Remove(path)
	mkfifo(t, path)
	if err := f.waitOpen(ch, path, ch.s.OpenFile(path, rd, Attr{}), 100*time.Millisecond); !isLost(err) || !ch.over() {
		t.Errorf("%v, channel given up: %v", err, ch.over())
	}
	if _, err := c.Lstat(limited(t), path); err != nil || c.Status().Reconnects != 0 {
		t.Errorf("%v, %d reconnects for one channel", err, c.Status().Reconnects)
	}
}

// bulkChannel gives a channel for bulk data of the first connection.
func bulkChannel(t *testing.T, c *Conn) *channel {
	l := c.allLinks()[0]
	l.grow(1)
	eventually(t, "a bulk channel", func() bool { return len(l.bulkChannels()) > 0 })
	return l.bulkChannels()[0]
}

func mkfifo(t *testing.T, path string) {
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
}
