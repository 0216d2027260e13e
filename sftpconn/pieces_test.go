package sftpconn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// thin has the connection take its line for one on which a request is to be small.
func thin(c *Conn) {
	p := &c.allLinks()[0].read
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starting, p.late = false, 2*lateMany
	p.rates[p.round%rateRounds] = minPiece / pieceTime.Seconds()
}

// A read that goes out as several requests gives what came in one piece from its beginning, and no byte from behind a gap.
func TestAReadOfSeveralRequestsEndsAtTheFirstThatBringsLess(t *testing.T) {
	const few = 100
	for what, row := range map[string]struct {
		reply func(p sftptest.Packet) sftptest.Action // to the first READ, or to those behind it
		first bool
		want  int
	}{
		"the first is short": {func(p sftptest.Packet) sftptest.Action {
			return sftptest.ReplaceBody(append(binary.BigEndian.AppendUint32(nil, few), p.Body[4:4+few]...))
		}, true, few},
		"a later one fails": {func(sftptest.Packet) sftptest.Action {
			return sftptest.Answer(session.StatusFailure, "bad block")
		}, false, minPiece},
	} {
		t.Run(what, func(t *testing.T) {
			tap, srv, c := tapped(t)
			want := content(1, 200<<10)
			f := openFile(t, c, file(t, srv, "f", want), rd)
			thin(c)
			tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && p.Request.Name == "READ" && (p.Request.Offset() == 0) == row.first {
					return row.reply(p)
				}
				return sftptest.Pass()
			})
			tap.Reset()
			buf := make([]byte, len(want))
			n, err := f.ReadAt(limited(t), buf, 0)
			if err != nil || n != row.want || !bytes.Equal(buf[:n], want[:n]) {
				t.Errorf("%d bytes, %v; want %d", n, err, row.want)
			}
			if tap.Count("READ") < 2 {
				t.Error("it went out as one request")
			}
			if row.first {
				return
			}
			if _, err := f.ReadAt(limited(t), buf, int64(n)); status(err) != session.StatusFailure {
				t.Errorf("a read that begins where the server fails: %v", err)
			}
		})
	}
}

// Some servers take the bytes of a file in one order only, and once.
func TestBytesAreNotSentAgainWhereTheTimesBehindThemAreRefused(t *testing.T) {
	tap, srv, c := tapped(t)
	path := file(t, srv, "f", nil)
	f := openFile(t, c, path, wr)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "FSETSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	tap.Reset()
	err := f.WriteSetstat(limited(t), []byte("bytes"), 0, Attr{Flags: session.HasTimes, Mtime: 1})
	var refusal *SetRefusedError
	if !errors.As(err, &refusal) || status(refusal.Unwrap()) != session.StatusPermissionDenied {
		t.Errorf("got %v", err)
	}
	if n := tap.Count("WRITE"); n != 1 {
		t.Errorf("%d WRITEs", n)
	}
	sameAs(t, path, []byte("bytes"))
}
