package filedata

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
)

func TestReadBehindTheEndAsksTheServer(t *testing.T) {
	s := newServer([]byte("hello"))
	_, _, h := opened(t, Options{}, s)
	if got := mustRead(t, h, 0, 100); string(got) != "hello" {
		t.Fatalf("got %q", got)
	}
	s.set(func() { s.data = append(s.data, " world"...) })
	if got := mustRead(t, h, 5, 100); string(got) != " world" {
		t.Fatalf("of a file that has grown: %q", got)
	}
	if got := mustRead(t, h, 11, 100); len(got) != 0 {
		t.Fatalf("behind the end: %q", got)
	}
}

// As those of sysfs: their size is that of a page, their content is some bytes, and it changes while size and time stay.
func TestAFileThatEndsBeforeItsSizeIsReadFromTheServerEachTime(t *testing.T) {
	s := newServer([]byte("9\n"))
	p := newPool(t, Options{})
	f := p.NewFile(nil, 4096)
	h := f.Open(s)
	defer h.Close()
	if f.Short() {
		t.Error("it is called short before anything was read")
	}
	if got := mustRead(t, h, 0, 4096); string(got) != "9\n" {
		t.Fatalf("got %q", got)
	}
	if size, _ := f.Size(); size != 2 || !f.Short() {
		t.Errorf("its size is %d, short %v", size, f.Short())
	}
	s.set(func() { s.data = []byte("10\n") })
	if got := mustRead(t, h, 0, 4096); string(got) != "10\n" {
		t.Errorf("changed, it holds %q", got)
	}
	if size, _ := f.Size(); size != 3 {
		t.Errorf("changed, its size is %d", size)
	}
	f.SetRemoteSize(3) // the server tells the size that was read: it is an ordinary file that had been cut
	s.asked()
	for range 2 {
		if got := mustRead(t, h, 0, 3); string(got) != "10\n" || f.Short() {
			t.Errorf("it holds %q, short %v", got, f.Short())
		}
	}
	if r := s.asked(); len(r) != 1 {
		t.Errorf("read twice it asked for %v", r)
	}
}

func TestFileOfUnknownSizeIsReadToItsEnd(t *testing.T) {
	data := random(200_000)
	s := newServer(data)
	s.short = func(n int) int { return min(n, 4000) }
	p := newPool(t, Options{})
	h := p.NewFile(nil, 0).Open(s)
	defer h.Close()
	var got []byte
	for {
		b := mustRead(t, h, int64(len(got)), 128<<10)
		if len(b) == 0 {
			break
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("got %d bytes of %d", len(got), len(data))
	}
}

func TestShortAnswersAreNoEnd(t *testing.T) {
	data := random(300_000)
	s := newServer(data)
	s.short = func(n int) int { return (n + 2) / 3 }
	_, _, h := opened(t, Options{}, s)
	for off := 0; off < len(data); off += 100_000 {
		if got := mustRead(t, h, int64(off), 100_000); !bytes.Equal(got, data[off:off+100_000]) {
			t.Fatalf("at %d: %d bytes, or wrong ones", off, len(got))
		}
	}
}

func TestAnswersWithoutBytesAreAnError(t *testing.T) {
	s := newServer(random(10_000))
	s.short = func(n int) int { return 0 }
	_, _, h := opened(t, Options{}, s)
	if _, err := h.Read(context.Background(), 0, 100); !errors.Is(err, io.ErrNoProgress) {
		t.Fatalf("got %v", err)
	}
}

func TestFileCutOnTheServerEndsThere(t *testing.T) {
	data := random(1 << 20)
	s := newServer(data)
	_, f, h := opened(t, Options{}, s)
	mustRead(t, h, 0, 64<<10)
	f.Drop()
	s.set(func() { s.data = s.data[:100_000] })
	var got []byte
	for {
		b := mustRead(t, h, int64(len(got)), 60_000)
		if len(b) == 0 {
			break
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, data[:100_000]) {
		t.Fatalf("got %d bytes", len(got))
	}
	if n, _ := f.Size(); n != 100_000 {
		t.Fatalf("size %d", n)
	}
}

// While the answer 'the file ends here' is on its way a program makes the file longer.
func TestEndSeenBeforeAWriteIsNotBelieved(t *testing.T) {
	s := newServer(random(500))
	p := newPool(t, Options{})
	f := p.NewFile(nil, 1000) // it was longer once
	h := f.Open(s)
	defer h.Close()
	reached, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.after = func(request) {
		once.Do(func() { close(reached) })
		<-open
	}
	read := make(chan []byte)
	go func() { read <- mustRead(t, h, 0, 1000) }()
	<-reached
	mustWrite(t, h, []byte("x"), 2000)
	mustFlush(t, h)
	close(open)
	if got := <-read; !bytes.Equal(got, s.content()[:1000]) {
		t.Fatalf("read %d bytes, or wrong ones", len(got))
	}
	if n, _ := f.Size(); n != 2001 {
		t.Fatalf("size %d", n)
	}
}

func TestSmallerRemoteSizeDropsWhatIsBehind(t *testing.T) {
	s := newServer(bytes.Repeat([]byte("a"), 60_000))
	_, f, h := opened(t, Options{}, s)
	mustRead(t, h, 0, 60_000)
	s.set(func() { s.data = s.data[:10]; s.data = append(s.data, bytes.Repeat([]byte("b"), 1000)...) })
	f.SetRemoteSize(10)
	f.SetRemoteSize(1010)
	if got := mustRead(t, h, 0, 60_000); !bytes.Equal(got, s.content()) {
		t.Fatalf("got %d bytes, old ones among them", len(got))
	}
}
