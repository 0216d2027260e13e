package sftpconn

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// shears dials srv through a line that ends after a number of bytes: in the middle
// of a packet, if it comes so. Nothing of a channel is delivered after that.
type shears struct {
	srv  *sftptest.Server
	left atomic.Int64 // bytes until the next cut
}

func (s *shears) dial(ctx context.Context) (transport.Transport, error) {
	t, err := s.srv.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return shearsTransport{t, s}, nil
}

type shearsTransport struct {
	transport.Transport
	s *shears
}

func (t shearsTransport) OpenChannel(ctx context.Context) (transport.Channel, error) {
	ch, err := t.Transport.OpenChannel(ctx)
	if err != nil {
		return nil, err
	}
	return &shearsChannel{Channel: ch, s: t.s}, nil
}

type shearsChannel struct {
	transport.Channel
	s      *shears
	broken atomic.Bool
}

func (c *shearsChannel) spend(n int) int {
	if c.broken.Load() {
		return 0
	}
	left := c.s.left.Add(int64(-n))
	if left > 0 {
		return n
	}
	c.broken.Store(true)
	if left+int64(n) > 0 {
		go c.s.srv.Cut()
	}
	return int(max(left+int64(n), 0))
}

func (c *shearsChannel) Read(p []byte) (int, error) {
	n, err := c.Channel.Read(p)
	if n > 0 {
		if n = c.spend(n); n == 0 {
			err = sftptest.ErrCut
		}
	}
	return n, err
}

func (c *shearsChannel) Write(p []byte) (int, error) {
	ok := c.spend(len(p))
	n, err := c.Channel.Write(p[:ok])
	if err == nil && n < len(p) {
		err = sftptest.ErrCut
	}
	return n, err
}

// cutting connects to srv over a line that is cut again and again, at moments from a
// seed, until the returned function is called.
func cutting(t *testing.T, srv *sftptest.Server) (c *Conn, stop func()) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := &shears{srv: srv}
	s.left.Store(1 << 60)
	c = connect(t, srv, func(o *Options) { o.Dial = s.dial })
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			s.left.Store(1 << 60)
			if r.IntN(2) == 0 {
				s.left.Store(1 + r.Int64N(3<<20))
			}
			select {
			case <-done:
				return
			case <-time.After(time.Duration(200+r.IntN(600)) * time.Millisecond):
				srv.Cut()
			}
		}
	})
	return c, func() { close(done); wg.Wait(); s.left.Store(1 << 60) }
}

func TestReadsAndWritesSurviveCutsAtAnyMoment(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	ctx := limited(t)
	tap.SetDelay(2 * time.Millisecond)
	c, stop := cutting(t, srv)
	want := content(5, 6<<20)
	path := filepath.Join(srv.Dir(), "copy")
	src := openFile(t, c, file(t, srv, "f", want), rd)
	dst := openFile(t, c, path, rd|wr|cre)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			got, err := readAll(ctx, src, len(want), 16)
			if err != nil {
				t.Errorf("read: %v", err)
			} else if !bytes.Equal(got, want) {
				t.Errorf("read differs at %d", firstDifference(got, want))
			}
		})
	}
	wg.Go(func() {
		if err := writeAll(ctx, dst, want, 16); err != nil {
			t.Errorf("write: %v", err)
		}
		if err := dst.Fsync(ctx); err != nil {
			t.Errorf("fsync: %v", err)
		}
	})
	wg.Wait()
	stop()
	sameAs(t, path, want)
	t.Logf("%d reconnects", c.Status().Reconnects)
}

func TestNameOperationsSurviveCutsAtAnyMoment(t *testing.T) {
	srv := sftptest.New(t)
	ctx := limited(t)
	want := content(6, 100<<10)
	c, stop := cutting(t, srv)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			in := func(name string) string { return filepath.Join(srv.Dir(), fmt.Sprintf("%s-%d", name, w)) }
			for i := range 25 {
				a, b, d, l := in("a"), in("b"), in("d"), in("l")
				steps := []func() error{
					func() error { return second(c.Mkdir(ctx, d, 0o750)) },
					func() error {
						f, _, err := c.Open(ctx, OpenRequest{Path: at(a), Pflags: wr | cre | session.OpenTrunc, Perm: 0o640})
						if err != nil {
							return err
						}
						defer f.Close()
						return f.WriteSetstat(ctx, want, 0, Attr{Flags: session.HasTimes, Atime: 1, Mtime: uint32(i)})
					},
					func() error { return c.Rename(ctx, a, b, false) },
					func() error { return c.Rename(ctx, b, d+"/x", true) },
					func() error { return c.Link(ctx, d+"/x", a) },
					func() error { return second(c.Symlink(ctx, "target", l)) },
					func() error {
						got, at, err := c.ReadSmall(ctx, a, 1<<20)
						if err == nil && (!bytes.Equal(got, want) || at.Mtime != uint32(i) || at.Mode&0o777 != 0o640) {
							err = fmt.Errorf("read %d bytes, %+v", len(got), at)
						}
						return err
					},
					func() error {
						n := 0
						err := c.List(ctx, d, func(names []Entry, restart bool) error {
							if restart {
								n = 0
							}
							n += len(names)
							return nil
						})
						if err == nil && n != 1 {
							err = fmt.Errorf("%d names", n)
						}
						return err
					},
					func() error { return c.Remove(ctx, l) },
					func() error { return c.Remove(ctx, a) },
					func() error { return c.Remove(ctx, d+"/x") },
					func() error { return c.Rmdir(ctx, d) },
				}
				for k, step := range steps {
					if err := step(); err != nil {
						t.Errorf("round %d, step %d: %v", i, k, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	stop()
	if names, _ := os.ReadDir(srv.Dir()); len(names) != 0 {
		t.Errorf("left over: %v", names)
	}
	t.Logf("%d reconnects", c.Status().Reconnects)
}
