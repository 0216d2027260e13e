package cache

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// Servers before object stores set no times, and take bytes in one order only.
func TestBytesAreNotWrittenAgainWhereTheTimesBehindThemAreRefused(t *testing.T) {
	for name, server := range map[string][]sftptest.Option{"in order": nil, "in any order": {sftptest.Args("-P", "fsync")}} {
		t.Run(name, func(t *testing.T) {
			r := newRigOver(t, sftpconn.Options{}, nil, server...)
			f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			var writes atomic.Int32
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				switch p.Name {
				case "WRITE":
					writes.Add(1)
				case "FSETSTAT":
					return sftptest.Answer(session.StatusOpUnsupported, "no times here")
				}
				return sftptest.Pass()
			})
			defer r.tap.OnRequest(nil)
			if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
				t.Fatal(err)
			}
			when := time.Unix(1_000_000_000, 0)
			if _, _, err := r.Setattr(ctxOf(t), f.Node, h, SetAttr{Atime: &when, Mtime: &when}); err != nil {
				t.Fatal(err)
			}
			if err := h.Flush(ctxOf(t)); err == nil {
				t.Error("nobody is told that the times were refused")
			}
			if n := writes.Load(); n != 1 {
				t.Errorf("%d WRITEs", n)
			}
		})
	}
}
