package cache

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rotate gives a name to a new file, as those do who rotate logs.
func (r *rig) rotate(name, content string) {
	r.t.Helper()
	if err := os.Rename(filepath.Join(r.dir, name), filepath.Join(r.dir, name+".1")); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// Whoever has it open would be shown zeros up to the size of the file that has its name now.
func TestAnOpenFileKeepsItsSizeWhenItsNameGoesToAnother(t *testing.T) {
	asks := map[string]func(r *rig, n *Node){
		"at a stat":    func(r *rig, n *Node) { _, _, _ = r.Getattr(ctxOf(r.t), n, nil) },
		"at a look-up": func(r *rig, _ *Node) { r.mustFind("log") },
		"at an open": func(r *rig, n *Node) {
			r.distrustNode(n)
			_, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
			wantErrno(r.t, err, syscall.ESTALE)
		},
		"at a listing": func(r *rig, _ *Node) { r.list(r.Root()) },
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("log", "old\n")
			n := r.mustFind("log").Node
			h := r.opened(n, syscall.O_RDONLY)
			r.rotate("log", "longer than it\n")
			r.distrustNode(n)
			ask(r, n)
			if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Size != 4 {
				t.Errorf("the open file is shown with %d bytes; %v", a.Size, err)
			}
			if f := r.mustFind("log"); f.Node == n || f.Attr.Size != 15 {
				t.Errorf("the name leads to a file of %d bytes, the one that was open: %v", f.Attr.Size, f.Node == n)
			}
			if got := r.readAll(r.mustFind("log").Node); got != "longer than it\n" {
				t.Errorf("by its name %q is read", got)
			}
		})
	}
}

// It grows, and is changed, without being another file.
func TestAnOpenFileThatOthersWriteToKeepsItsName(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "")
	n := r.mustFind("log").Node
	r.opened(n, syscall.O_RDONLY)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(filepath.Join(r.dir, "log"), os.O_WRONLY|os.O_APPEND, 0)
		for err == nil && ctx.Err() == nil {
			_, err = f.WriteString("line\n")
		}
		ended <- err
	}()
	for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until); {
		r.distrustNode(n)
		if _, _, err := r.Getattr(ctxOf(t), n, nil); err != nil {
			t.Fatal(err)
		}
		r.distrustNode(n)
		if f := r.mustFind("log"); f.Node != n {
			t.Fatal("the name of a file that grows is taken for another's")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.put("log", "cut\n")
	r.distrustNode(n)
	if f := r.mustFind("log"); f.Node != n || f.Attr.Size != 4 {
		t.Errorf("after a truncation the name leads to the same file: %v, with %d bytes", f.Node == n, f.Attr.Size)
	}
}

// As a log that a program here writes, when it is rotated on the server. What the server tells of the name says nothing of where the file
// ends that is open: who goes on appending would write over what is in it.
func TestAnAppendGoesToTheEndOfAFileWhoseNameIsAnothers(t *testing.T) {
	asks := map[string]func(r *rig, n *Node){
		"asked about":  func(r *rig, n *Node) { _, _, _ = r.Getattr(ctxOf(r.t), n, nil) },
		"looked up":    func(r *rig, _ *Node) { r.mustFind("log") },
		"in a listing": func(r *rig, _ *Node) { r.list(r.Root()) },
		"opened": func(r *rig, n *Node) {
			r.distrustNode(n)
			_, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
			wantErrno(r.t, err, syscall.ESTALE)
		},
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("log", "old ")
			n := r.mustFind("log").Node
			h := r.opened(n, syscall.O_WRONLY|syscall.O_APPEND)
			r.appended(h, "and written to")
			waitFor(t, "it is acknowledged", func() bool { _, dirty := n.file.data.Size(); return !dirty })
			r.rotate("log", "new")
			r.distrustNode(n)
			ask(r, n)
			r.appended(h, ", to the end")
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if old, now := r.remote("log.1"), r.remote("log"); old != "old and written to, to the end" || now != "new" {
				t.Errorf("the server has %q, and by the name %q", old, now)
			}
		})
	}
}

// appended writes to the end of an open file, which the kernel believes to be where the cache says.
func (r *rig) appended(h *Handle, content string) {
	r.t.Helper()
	size, _ := h.n.file.data.Size()
	if _, err := h.Append(ctxOf(r.t), []byte(content), size); err != nil {
		r.t.Fatal(err)
	}
}

// As by `> log` when a log has been rotated: what has the old one open still ends where it did.
func TestATruncationByANameThatIsAnothersLeavesTheOpenFileAlone(t *testing.T) {
	truncations := map[string]func(r *rig, n *Node) error{
		"opened with O_TRUNC": func(r *rig, n *Node) error {
			h, _, err := r.Open(ctxOf(r.t), n, syscall.O_WRONLY|syscall.O_TRUNC)
			if err == nil {
				h.Release()
			}
			return err
		},
		"truncated": func(r *rig, n *Node) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Size: new(uint64)})
			return err
		},
	}
	for name, truncate := range truncations {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("log", "old ")
			h := r.opened(r.mustFind("log").Node, syscall.O_WRONLY|syscall.O_APPEND)
			r.appended(h, "and written to")
			r.rotate("log", "new")
			if err := r.asTheKernel("log", func(n *Node) error { return truncate(r, n) }); err != nil {
				t.Fatal(err)
			}
			r.appended(h, ", to the end")
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if old, now := r.remote("log.1"), r.remote("log"); old != "old and written to, to the end" || now != "" {
				t.Errorf("the server has %q, and by the name %q", old, now)
			}
		})
	}
}

// As when a log is looked at that has been rotated and is still written to: the bytes on their way are none of the new one's.
func TestAnOpenFindsTheFileThatHasTheNameThoughTheOtherIsBeingWritten(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old, ")
	n := r.mustFind("log").Node
	h := r.opened(n, syscall.O_WRONLY|syscall.O_APPEND)
	r.appended(h, "and written to")
	r.rotate("log", "new")
	var read string
	err := r.asTheKernel("log", func(n *Node) error {
		h, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
		if err == nil {
			read = r.readOpen(h)
			h.Release()
		}
		return err
	})
	if err != nil || read != "new" {
		t.Errorf("by the name %q is read; %v", read, err)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if old := r.remote("log.1"); old != "old, and written to" {
		t.Errorf("the other one has %q", old)
	}
}

// The bytes on their way are of the file that had the name, and so is the end to which is appended.
func TestAFileThatGotTheNameOfOneThatIsWrittenIsKeptApart(t *testing.T) {
	for name, known := range map[string]time.Duration{"known for long": time.Minute, "just known": 0} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("log", "old, ")
			h := r.opened(r.mustFind("log").Node, syscall.O_WRONLY|syscall.O_APPEND)
			r.pass(known)
			r.appended(h, "and written to")
			r.rotate("log", "a new file, longer than what is written")
			var read string
			err := r.asTheKernel("log", func(n *Node) error {
				h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR)
				if err != nil {
					return err
				}
				defer h.Release()
				read = r.readOpen(h)
				r.appended(h, ", and more")
				return h.Flush(ctxOf(t))
			})
			if want := "a new file, longer than what is written"; err != nil || read != want {
				t.Errorf("by the name %q is read; %v", read, err)
			}
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if old, now := r.remote("log.1"), r.remote("log"); old != "old, and written to" || now != "a new file, longer than what is written, and more" {
				t.Errorf("the server has %q, and by the name %q", old, now)
			}
		})
	}
}

// As when the beginning of a log or a download is looked at.
func TestAnOpenBesideAWriterWaitsForNoBytes(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old, ")
	n := r.mustFind("log").Node
	h := r.opened(n, syscall.O_WRONLY|syscall.O_APPEND)
	r.appended(h, "and written to")
	r.tap.Reset()
	r.opened(n, syscall.O_RDONLY)
	if r.tap.Count("WRITE") > 0 || r.tap.Count("LSTAT") > 1 {
		t.Errorf("it has waited:\n%s", strings.Join(r.tap.Log(), "\n"))
	}
}

func TestAnAppendGoesToTheEndOfAHardLinkOfWhichANameIsAnothers(t *testing.T) {
	asks := map[string]func(r *rig, n *Node){
		"looked up": func(r *rig, _ *Node) { r.mustFind("b") },
		"opened": func(r *rig, n *Node) {
			if h, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY); err == nil {
				h.Release()
				r.t.Error("the other file is opened as the one that had its name")
			}
		},
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			r, n := linkedNames(t, "a", "b")
			h := r.opened(n, syscall.O_WRONLY|syscall.O_APPEND)
			r.appended(h, " and written to")
			waitFor(t, "it is acknowledged", func() bool { _, dirty := n.file.data.Size(); return !dirty })
			r.replace("b", "a new file, longer than what is written")
			ask(r, n)
			r.appended(h, ", to the end")
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if got, want := r.remote("a"), "linked and written to, to the end"; got != want {
				t.Errorf("the server has %q", got)
			}
			if f := r.mustFind("b"); f.Node == n {
				t.Error("the name leads to it still")
			}
		})
	}
}
