package sftpconn

import (
	"encoding/binary"
	"log/slog"
	"testing"

	"sshmount/sftpconn/sftptest"
)

func TestATargetWithANulIsRefusedAndTold(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	targets := []string{"..\x00", "good", "a\x00b"}
	n := 0
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "READLINK" {
			return sftptest.Pass()
		}
		body := append(binary.BigEndian.AppendUint32(nil, p.ID), names(targets[n])...)
		n++
		return sftptest.ReplaceRaw(append(append(binary.BigEndian.AppendUint32(nil, uint32(1+len(body))), 104), body...))
	})
	var log logText
	c := connect(t, srv, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	got, errs := c.Readlinks(limited(t), []string{"/first", "/second", "/third"})
	for i, target := range targets {
		if good := target == "good"; (errs[i] == nil) != good || (got[i] == target) != good {
			t.Errorf("%q is told as %q, %v", target, got[i], errs[i])
		}
	}
	for _, want := range []string{"/first", "/third", "no symbolic link can have"} {
		if !log.has(want) {
			t.Errorf("the log does not tell of %s: %s", want, &log)
		}
	}
}
