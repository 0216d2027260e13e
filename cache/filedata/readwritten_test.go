package filedata

import (
	"bytes"
	"testing"
)

func TestHolesAreZeros(t *testing.T) {
	s := newServer([]byte("abc"))
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("x"), 300_000)
	want := append([]byte("abc"), make([]byte, 299_997)...)
	want = append(want, 'x')
	if got := mustRead(t, h, 0, 400_000); !bytes.Equal(got, want) {
		t.Fatalf("before it is sent: %d bytes, or wrong ones", len(got))
	}
	mustFlush(t, h)
	f.Drop()
	if got := mustRead(t, h, 0, 400_000); !bytes.Equal(got, want) {
		t.Fatalf("after: %d bytes, or wrong ones", len(got))
	}
}

func TestNewFileIsReadWithoutTheServer(t *testing.T) {
	s := newServer(nil)
	p, _, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("x"), 5000)
	mustRead(t, h, 0, 100_000)
	if r := s.asked(); len(r) != 0 {
		t.Fatalf("asked for %v", r)
	}
}

// The kernel has the pages that it wrote as a whole. The last one it asks for, when somebody reads the file.
func TestTheLastPageOfALargeFileStaysWhenItIsAcknowledged(t *testing.T) {
	s := newServer(nil)
	s.maxWrite = 128 << 10
	p, _, h := opened(t, Options{}, s)
	slowIdle(p)
	data := random(200_000)
	mustWrite(t, h, data, 0)
	mustFlush(t, h)
	s.asked()
	from := int64(len(data) &^ (pageSize - 1))
	if got := mustRead(t, h, from, pageSize); !bytes.Equal(got, data[from:]) {
		t.Fatal("wrong bytes")
	}
	if r := s.asked(); len(r) != 0 {
		t.Fatalf("asked for %v", r)
	}
	if got := mustRead(t, h, 0, len(data)); !bytes.Equal(got, data) {
		t.Fatal("wrong bytes")
	}
}

// Small writes that were acknowledged stay here, and must not make many requests of a read around them.
func TestReadAroundSmallWritesIsOneRequest(t *testing.T) {
	s := newServer(random(60_000))
	_, _, h := opened(t, Options{}, s)
	for off := int64(1000); off < 60_000; off += 5000 {
		mustWrite(t, h, []byte("0123456789"), off)
	}
	mustFlush(t, h)
	s.asked()
	if got := mustRead(t, h, 0, 60_000); !bytes.Equal(got, s.content()) {
		t.Fatal("wrong bytes")
	}
	if r := s.asked(); len(r) != 1 {
		t.Fatalf("requests: %v", r)
	}
}

// A stale answer about the size must not hide bytes that the server has.
func TestSmallerSizeIsNotBelievedWhileDirty(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	data := random(128 << 10)
	mustWrite(t, h, data, 0)
	mustFlush(t, h)
	mustWrite(t, h, []byte("x"), 200_000)
	f.SetRemoteSize(0)
	if got := mustRead(t, h, 0, 128<<10); !bytes.Equal(got, data) {
		t.Fatal("acknowledged bytes are gone")
	}
	if n, dirty := f.Size(); n != 200_001 || !dirty {
		t.Fatalf("size %d", n)
	}
}
