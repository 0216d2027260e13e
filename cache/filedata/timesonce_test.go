package filedata_test

import (
	"errors"
	"os"
	"testing"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// Some servers take the bytes of a file in one order only: a WRITE that is done must not come again.
func TestBytesAreWrittenOnceWhereTheTimesInTheirFlightAreRefused(t *testing.T) {
	tap := sftptest.NewTap()
	refused := make(chan sftpconn.Attr, 1)
	r := newRemote(t, nil, filedata.Options{
		Lost:         func(_ any, _ int64, data []byte, err error) { t.Errorf("%d bytes are lost: %v", len(data), err) },
		TimesRefused: func(_ any, times sftpconn.Attr, _ error) { refused <- times },
	}, sftptest.WithTap(tap))
	h := r.open(t)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "FSETSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	tap.Reset()
	if err := h.Write(t.Context(), []byte("bytes"), 0); err != nil {
		t.Fatal(err)
	}
	if !r.file.SetTimes(sftpconn.Attr{Flags: session.HasTimes, Mtime: 5}) {
		t.Fatal("nothing is unacknowledged")
	}
	var refusal *session.StatusError
	if err := h.Flush(t.Context(), true); !errors.As(err, &refusal) || refusal.Code != session.StatusPermissionDenied {
		t.Errorf("close: %v", err)
	}
	if times := <-refused; times.Mtime != 5 {
		t.Errorf("the times refused are %+v", times)
	}
	if writes, sets := tap.Count("WRITE"), tap.Count("FSETSTAT"); writes != 1 || sets != 1 {
		t.Errorf("%d WRITEs and %d FSETSTATs were sent", writes, sets)
	}
	if got, err := os.ReadFile(r.path); string(got) != "bytes" {
		t.Errorf("the server has %q, %v", got, err)
	}
}
