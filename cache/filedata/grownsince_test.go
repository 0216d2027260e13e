package filedata

import (
	"bytes"
	"testing"
)

// ProFTPD answers with the end that the file had when the handle was opened.
func TestAnEndBeforeTheKnownSizeIsAskedForAgain(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 10_000)
	s := newServer(want)
	s.seen = 32 << 10
	_, f, h := opened(t, Options{}, s)
	if got := mustRead(t, h, 0, len(want)); !bytes.Equal(got, want) {
		t.Errorf("read %d of %d bytes", len(got), len(want))
	}
	if size, _ := f.Size(); f.Short() || size != int64(len(want)) {
		t.Errorf("its size is %d, short %v", size, f.Short())
	}
}
