package sftpconn

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// The server crashes after it has acknowledged ten bytes, and has the first four when it is back.
func TestAcknowledgedBytesThatACrashTookAreTold(t *testing.T) {
	size := func(n uint64) Attr { return Attr{Flags: session.HasSize, Size: n} }
	write := func(t *testing.T, f *File) {
		if err := f.WriteAt(limited(t), []byte("0123456789"), 0); err != nil {
			t.Fatal(err)
		}
	}
	for what, row := range map[string]struct {
		do    func(t *testing.T, c *Conn, f *File, path string) error
		keeps bool // all ten bytes
		told  int32
	}{
		"written": {do: func(t *testing.T, _ *Conn, f *File, _ string) error {
			write(t, f)
			return nil
		}, told: 1},
		"written with its times": {do: func(t *testing.T, _ *Conn, f *File, _ string) error {
			return f.WriteSetstat(limited(t), []byte("0123456789"), 0, Attr{Flags: session.HasTimes, Atime: 1, Mtime: 1})
		}, told: 1},
		"written and kept": {do: func(t *testing.T, _ *Conn, f *File, _ string) error {
			write(t, f)
			return nil
		}, keeps: true},
		"stored": {do: func(t *testing.T, _ *Conn, f *File, _ string) error {
			write(t, f)
			return f.Fsync(limited(t))
		}},
		"stored behind the writes": {do: func(t *testing.T, _ *Conn, f *File, _ string) error {
			write(t, f)
			stored, err := f.FsyncBehind(limited(t), nil, 10)
			if stored == nil || !stored() {
				return errors.Join(err, errors.New("it is not stored"))
			}
			return err
		}},
		"stored, and written again": {do: func(t *testing.T, _ *Conn, f *File, _ string) error {
			write(t, f)
			err := f.Fsync(limited(t))
			write(t, f)
			return err
		}, told: 1},
		"cut by ourselves": {do: func(t *testing.T, _ *Conn, f *File, _ string) error {
			write(t, f)
			return f.Setstat(limited(t), size(4))
		}},
		"cut by its name": {do: func(t *testing.T, c *Conn, f *File, path string) error {
			write(t, f)
			f.Shorten(4)
			return c.Setstat(limited(t), path, size(4), false)
		}},
	} {
		t.Run(what, func(t *testing.T) {
			srv := sftptest.New(t)
			c := connect(t, srv)
			path := filepath.Join(srv.Dir(), "f")
			var told atomic.Int32
			f, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: wr | cre, Perm: 0o644, Lost: func(err error) {
				if !errors.Is(err, ErrLost) {
					t.Error(err)
				}
				told.Add(1)
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := row.do(t, c, f, path); err != nil {
				t.Fatal(err)
			}
			if !row.keeps {
				if err := os.Truncate(path, 4); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // the second time all is as it was told
				srv.Cut()
				if _, err := f.Stat(limited(t)); err != nil {
					t.Fatal(err)
				}
			}
			if n := told.Load(); n != row.told {
				t.Errorf("told %d times, want %d", n, row.told)
			}
		})
	}
}
