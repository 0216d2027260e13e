package sftpconn

import (
	"path/filepath"
	"testing"

	"sshmount/sftpconn/sftptest"
)

func TestCopyDataSaysWhereTheSourceEnds(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	ctx := limited(t)
	if !c.Has("copy-data") {
		t.Skip("this sftp-server has no copy-data")
	}
	const size = copyFirst + 100_000 // the end is within the second piece
	want := content(4, size)
	src := openFile(t, c, file(t, srv, "src", want), rd)
	path := filepath.Join(srv.Dir(), "dst")
	dst := openFile(t, c, path, rd|wr|cre)
	for _, try := range []struct{ off, n, copied int64 }{
		{0, 50 << 20, size},
		{0, size, size},
		{0, size + 1, size},
		{size - 10, 50 << 20, 10}, // into the middle of a file that is longer
		{size, 10, 0},
		{size + 1<<20, 50 << 20, 0},
	} {
		if n, err := c.CopyData(ctx, src, try.off, try.n, dst, try.off); err != nil || n != try.copied {
			t.Errorf("%d bytes from %d: %d, %v; want %d", try.n, try.off, n, err, try.copied)
		}
	}
	sameAs(t, path, want)
}

// Where bulk data has all channels that the server grants, copies get one of them.
func TestCopiesHaveAChannelThatBulkDataGivesUp(t *testing.T) {
	c := connect(t, sftptest.New(t, sftptest.MaxChannels(4)))
	l := c.allLinks()[0]
	l.grow(3)
	eventually(t, "the channels are open", func() bool { return len(l.bulkChannels()) == 3 })
	eventually(t, "there is a channel for copies", func() bool { return l.copyChannel() != nil })
	l.grow(3)
	if n := len(l.bulkChannels()); n != 2 {
		t.Errorf("%d channels for bulk data, want 2", n)
	}
}
