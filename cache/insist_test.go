package cache

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Whoever asks about what a program moves about without pause is answered after the renames that were answered by then, and a few more.
func TestAsyncAQuestionIsAnsweredThoughTheNameIsRenamedWithoutPause(t *testing.T) {
	const most = 400 // renames until the answer
	asks := map[string]func(ctx context.Context, r *rig, d *Node) error{
		"a look-up": func(ctx context.Context, r *rig, d *Node) error {
			_, err := r.Lookup(ctx, d, "f")
			return err
		},
		"a stat": func(ctx context.Context, r *rig, d *Node) error {
			f, err := r.Lookup(ctx, d, "known")
			if err == nil {
				r.distrustNode(f.Node)
				_, _, err = r.Getattr(ctx, f.Node, nil)
			}
			return err
		},
		"an opening": func(ctx context.Context, r *rig, d *Node) error {
			f, err := r.Lookup(ctx, d, "known")
			if err != nil {
				return err
			}
			h, _, err := r.Open(ctx, f.Node, syscall.O_RDONLY)
			if err == nil {
				h.Release()
			}
			return err
		},
		"a link": func(ctx context.Context, r *rig, d *Node) error {
			f, err := r.Lookup(ctx, d, "link")
			if err == nil {
				_, err = r.Readlink(ctx, f.Node)
			}
			return err
		},
		"a listing": func(ctx context.Context, r *rig, d *Node) error {
			l, err := r.OpenDir(ctx, d)
			if err != nil {
				return err
			}
			defer l.Release()
			_, err = l.Next(ctx, 0)
			return err
		},
	}
	for what, ask := range asks {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, async)
			r.put("dir1/f", "x")
			r.put("dir1/known", "x")
			if err := os.Symlink("f", filepath.Join(r.dir, "dir1", "link")); err != nil {
				t.Fatal(err)
			}
			r.list(r.Root())
			d := r.mustFind("dir1").Node
			for _, name := range []string{"known", "link"} {
				if _, err := r.Lookup(ctxOf(t), d, name); err != nil {
					t.Fatal(err)
				}
			}
			r.tap.SetDelay(time.Millisecond)
			ctx := ctxOf(t)
			moving, stop := context.WithCancel(ctx)
			var mover sync.WaitGroup
			mover.Go(func() {
				for from, to := "dir1", "dir2"; moving.Err() == nil; from, to = to, from {
					if err := r.Rename(ctx, r.Root(), from, r.Root(), to, false); err != nil {
						t.Error(err)
						return
					}
				}
			})
			waitFor(t, "it is moved about", func() bool { return r.tap.Count("posix-rename@openssh.com") > 10 })
			r.tap.Reset()
			err := ask(ctx, r, d)
			got := r.tap.Count("posix-rename@openssh.com")
			stop()
			mover.Wait()
			if err != nil || got > most {
				t.Errorf("after %d renames, at most %d wanted: %v", got, most, err)
			}
		})
	}
}
