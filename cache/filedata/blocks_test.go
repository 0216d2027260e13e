package filedata

import (
	"bytes"
	"testing"
)

// replaced is a file whose name leads to another on the server since the first handle was opened, and this has been noticed.
func replaced(t *testing.T, before, after []byte) (f *File, old, now *Handle, wasServer *server) {
	t.Helper()
	wasServer = newServer(before)
	_, f, old = opened(t, Options{}, wasServer)
	mustRead(t, old, 0, 4096)
	f.Changed()
	f.SetRemoteSize(int64(len(after)))
	now = f.Open(newServer(after))
	t.Cleanup(now.Close)
	return f, old, now, wasServer
}

func TestHandlesOfAReplacedFileReadTheirOwn(t *testing.T) {
	before, after := random(1<<20), random(1<<20+1)
	_, old, now, _ := replaced(t, before, after)
	for _, off := range []int64{0, 4096, 512 << 10, 768 << 10} {
		for range 2 {
			if got := mustRead(t, old, off, 4096); !bytes.Equal(got, before[off:off+4096]) {
				t.Errorf("the earlier handle reads other bytes at %d", off)
			}
			if got := mustRead(t, now, off, 4096); !bytes.Equal(got, after[off:off+4096]) {
				t.Errorf("the later handle reads other bytes at %d", off)
			}
		}
	}
}

func TestTheEndOfAReplacedFileIsNotTheOthers(t *testing.T) {
	before, after := random(10_000), random(100_000)
	f, old, now, _ := replaced(t, before, after)
	if got := mustRead(t, old, 8192, 8192); !bytes.Equal(got, before[8192:]) {
		t.Errorf("%d bytes up to the end of the earlier file", len(got))
	}
	if n, _ := f.Size(); n != 100_000 {
		t.Errorf("size %d", n)
	}
	if got := mustRead(t, now, 8192, 8192); !bytes.Equal(got, after[8192:16384]) {
		t.Errorf("%d bytes of the later file", len(got))
	}
}

// A file that grows on the server, and not another one: its reader must not lose what makes it fast.
func TestAReaderOfAFileThatChangesIsReadAheadFor(t *testing.T) {
	data := random(4 << 20)
	_, h, _, s := replaced(t, data, data)
	s.asked()
	for off := int64(0); off < int64(len(data)); off += 16 << 10 {
		if got := mustRead(t, h, off, 16<<10); !bytes.Equal(got, data[off:off+16<<10]) {
			t.Fatalf("other bytes at %d", off)
		}
	}
	if n := len(s.asked()); n > len(data)/(64<<10)+10 {
		t.Errorf("%d requests", n)
	}
}

func TestAWriteShowsInEveryHandleOfAFileThatChanged(t *testing.T) {
	data := random(10_000)
	_, old, now, _ := replaced(t, data, data)
	mustRead(t, old, 0, 10_000)
	mustRead(t, now, 0, 10_000)
	mustWrite(t, now, []byte("new"), 100)
	if got := mustRead(t, old, 100, 3); string(got) != "new" {
		t.Errorf("the earlier handle reads %q", got)
	}
}

func TestBlocksOfAReplacedFileGoWithItsLastHandle(t *testing.T) {
	f, old, now, _ := replaced(t, random(64<<10), random(64<<10))
	mustRead(t, old, 0, 64<<10)
	now.Close()
	f.Drop()
	mustRead(t, old, 0, 64<<10)
	old.Close()
	if n := f.pool.Stats().Clean; n != 0 {
		t.Errorf("%d bytes are still held", n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.earlier) > 0 {
		t.Error("and the list of them")
	}
}
