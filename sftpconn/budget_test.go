package sftpconn

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/session"
)

// Each row of the design's table of round trips that this package answers for.
func TestFlightsAndRequestsStayWithinTheirBudgets(t *testing.T) {
	tap, srv, c := tapped(t)
	ctx := limited(t)
	small := file(t, srv, "small", content(1, 200<<10))
	for i := range 1000 {
		file(t, srv, fmt.Sprint("n", i), nil)
	}
	in := func(name string) string { return filepath.Join(srv.Dir(), name) }
	tap.SetDelay(30 * time.Millisecond)
	never := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	for _, row := range []struct {
		what     string
		flights  int
		requests int // without CLOSE
		work     func()
	}{
		{"lstat", 1, 1, func() { _, err := c.Lstat(ctx, small); never(err) }},
		{"mkdir", 1, 2, func() { never(second(c.Mkdir(ctx, in("d"), 0o755))) }},
		{"rmdir", 1, 1, func() { never(c.Rmdir(ctx, in("d"))) }},
		{"symlink", 1, 2, func() { never(second(c.Symlink(ctx, "x", in("l")))) }},
		{"readlinks", 1, 3, func() {
			_, errs := c.Readlinks(ctx, []string{in("l"), in("l"), in("l")})
			never(errs[2])
		}},
		{"link", 1, 1, func() { never(c.Link(ctx, small, in("hard"))) }},
		{"rename", 1, 1, func() { never(c.Rename(ctx, in("hard"), in("other"), false)) }},
		{"remove", 1, 1, func() { never(c.Remove(ctx, in("other"))) }},
		{"setstat", 1, 1, func() {
			never(c.Setstat(ctx, small, Attr{Flags: session.HasMode, Mode: 0o644}, true))
		}},
		{"open, read and close a small file", 2, 3, func() {
			f, a, err := c.Open(ctx, OpenRequest{Path: at(small), Pflags: rd})
			never(err)
			b := make([]byte, a.Size)
			if n, err := f.ReadAt(ctx, b, 0); err != nil || n != len(b) {
				t.Error(n, err)
			}
			f.Close()
		}},
		{"read a small file ahead", 2, 3, func() {
			b, _, err := c.ReadSmall(ctx, small, 1<<20)
			never(err)
			if !bytes.Equal(b, content(1, 200<<10)) {
				t.Error("wrong bytes")
			}
		}},
		{"create, write, set times, close", 2, 4, func() {
			f, _, err := c.Open(ctx, OpenRequest{Path: at(in("new")), Pflags: wr | cre | session.OpenExcl, Perm: 0o644})
			never(err)
			never(f.WriteSetstat(ctx, []byte("x"), 0, Attr{Flags: session.HasTimes, Atime: 1, Mtime: 1}))
			f.Close()
		}},
		{"open with truncation", 1, 3, func() {
			f, _, err := c.Open(ctx, OpenRequest{Path: at(in("new")), Pflags: wr | cre | session.OpenTrunc, Perm: 0o644})
			never(err)
			f.Close()
		}},
		{"list 1000 names", 5, 60, func() {
			n := 0
			never(c.List(ctx, srv.Dir(), func(names []Entry, _ bool) error { n += len(names); return nil }))
			if n != 1003 {
				t.Errorf("%d names", n)
			}
		}},
	} {
		tap.Reset()
		row.work()
		requests := tap.Total() - tap.Count("CLOSE")
		if f := tap.Flights(); f > row.flights || requests > row.requests {
			t.Errorf("%s: %d flights and %d requests, at most %d and %d wanted:\n%s", row.what,
				f, requests, row.flights, row.requests, strings.Join(tap.Log(), "\n"))
		}
	}
}

func TestNamesDoNotWaitBehindACopy(t *testing.T) {
	tap, srv, c := tapped(t)
	ctx, cancel := context.WithCancel(limited(t))
	tap.SetDelay(20 * time.Millisecond)
	want := content(4, 8<<20)
	f := openFile(t, c, file(t, srv, "f", want), rd)
	copied := func() {
		got, err := readAll(ctx, f, len(want), 32)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read differs at %d: %v", firstDifference(got, want), err)
		}
	}
	rounds := 0
	untilSpread(t, c, "further channels are open", func() bool {
		rounds++
		copied()
		return c.Status().Channels >= 3
	})
	tap.Reset()
	copied()
	cancel()
	names := 0
	for _, line := range tap.Log() {
		if strings.Contains(line, "> ch1 READ ") {
			names++
		}
	}
	if all := tap.Count("READ"); names > all/4 {
		t.Errorf("%d of %d READs went over the channel of names", names, all)
	}
	if s := c.Status(); s.Channels > 1+aloneChannels || s.BytesRead != uint64((rounds+1)*len(want)) {
		t.Errorf("%+v", s)
	}
}

// Each channel is a process that the server has to start.
func TestNoChannelIsOpenedForSmallReadsOneByOne(t *testing.T) {
	tap, srv, c := tapped(t)
	want := content(5, 4<<20)
	f := openFile(t, c, file(t, srv, "f", want), rd)
	const piece, step = 4 << 10, 7 * 4 << 10 // which leads to each piece once
	b := make([]byte, piece)
	for at := step; at != 0; at = (at + step) % len(want) {
		if n, err := f.ReadAt(limited(t), b, int64(at)); n != piece || err != nil || !bytes.Equal(b, want[at:at+piece]) {
			t.Fatalf("read at %d: %d, %v", at, n, err)
		}
	}
	for _, line := range tap.Log() {
		if !strings.Contains(line, " ch1 ") {
			t.Fatalf("a further channel was opened: %s", line)
		}
	}
	if n := c.Status().Channels; n != 1 {
		t.Errorf("%d channels", n)
	}
}
