package sftpconn

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// A tree that is copied to the server: one file after the other is closed.
func TestNobodyWaitsForFilesThatAreClosedLater(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, c *Conn, dir string) error{
		"list": func(ctx context.Context, c *Conn, dir string) error {
			return c.List(ctx, dir, func([]Entry, bool) error { return nil })
		},
		"sync": func(ctx context.Context, c *Conn, _ string) error { return c.Closed(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			tap, srv, c := inAnyOrder(t)
			tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "CLOSE" {
					return sftptest.Delay(30 * time.Millisecond)
				}
				return sftptest.Pass()
			})
			defer tap.OnRequest(nil)
			copying, stop := context.WithCancel(limited(t))
			var wg sync.WaitGroup
			defer wg.Wait()
			defer stop()
			wg.Go(func() {
				for i := 0; copying.Err() == nil; i++ {
					path := filepath.Join(srv.Dir(), fmt.Sprint(i))
					f, _, err := c.Open(copying, OpenRequest{Path: func() string { return path }, Pflags: wr | cre})
					if err == nil {
						err = f.WriteAt(copying, []byte("content"), 0)
						f.Close()
					}
					if err != nil && copying.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
			for len(c.allClosings()) < 2 {
				time.Sleep(time.Millisecond)
			}
			ctx, end := context.WithTimeout(limited(t), 3*time.Second)
			defer end()
			if err := ask(ctx, c, srv.Dir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The output of a script: each program that ends closes the file that it has inherited.
func TestAFileThatIsNeverClosedForGoodIsNotWaitedForAgainAndAgain(t *testing.T) {
	_, srv, c := inAnyOrder(t)
	path := filepath.Join(srv.Dir(), "f")
	f := openFile(t, c, path, wr|cre)
	if err := f.WriteAt(limited(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	f.Leaving(false)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	over := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(over)
	wg.Go(func() {
		for {
			select {
			case <-tick.C:
				f.Leaving(false)
			case <-over:
				return
			}
		}
	})
	ctx, end := context.WithTimeout(limited(t), 3*time.Second)
	defer end()
	if _, err := c.Lstat(ctx, path); err != nil {
		t.Error(err)
	}
}
