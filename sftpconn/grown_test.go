package sftpconn

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// grownFile opens a file of 10 bytes at a server that, as ProFTPD, sees its end there through this handle for ever, and then gives it
// the content that is returned.
func grownFile(t *testing.T) (tap *sftptest.Tap, path string, f *File, want []byte) {
	t.Helper()
	tap, srv, c := tapped(t)
	want = content(3, 100_000)
	path = file(t, srv, "f", want[:10])
	old := ""
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name == "READ" && old == "":
			old = p.Text
		case p.Name == "READ" && p.Text == old && p.Offset() >= 10:
			return sftptest.Answer(session.StatusEOF, "End of file")
		}
		return sftptest.Pass()
	})
	f = openFile(t, c, path, rd)
	if n, err := f.ReadAt(limited(t), make([]byte, 10), 0); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ReadAt(limited(t), make([]byte, 10), 10); n != 0 || err != io.EOF {
		t.Fatal(n, err)
	}
	return tap, path, f, want
}

func TestAFileThatHasGrownIsOpenedAgainWhereTheServerStillSeesItsFormerEnd(t *testing.T) {
	tap, _, f, want := grownFile(t)
	got := make([]byte, len(want)-10)
	for at := 0; at < len(got); {
		n, err := f.ReadGrown(limited(t), got[at:], int64(10+at))
		if err != nil {
			t.Fatal(err)
		}
		at += n
	}
	if !bytes.Equal(got, want[10:]) {
		t.Error("it holds something else")
	}
	tap.Reset()
	if n, err := f.ReadAt(limited(t), got[:100], 5000); err != nil || !bytes.Equal(got[:n], want[5000:5000+n]) {
		t.Error(n, err)
	}
	if n := tap.Total(); n != 1 {
		t.Errorf("reading on took %d requests", n)
	}
	if _, err := f.ReadGrown(limited(t), got, int64(len(want))); err != io.EOF {
		t.Errorf("at its end: %v", err)
	}
	f.Close()
	eventually(t, "all handles are closed", func() bool { return tap.Count("CLOSE") == 2 })
}

func TestAnEndWithinTheSizeThatAFileHadWhenItWasOpenedIsBelieved(t *testing.T) {
	tap, _, f, _ := grownFile(t)
	tap.Reset()
	if _, err := f.ReadGrown(limited(t), make([]byte, 10), 5); err != io.EOF || tap.Total() != 0 {
		t.Errorf("%v after %d requests", err, tap.Total())
	}
}

func TestAnotherFileIsNotReadInPlaceOfOneThatHasGrown(t *testing.T) {
	_, path, f, want := grownFile(t)
	if err := os.Rename(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, want[1:], 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ReadGrown(limited(t), make([]byte, 10), 10); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(n, err)
	}
}
