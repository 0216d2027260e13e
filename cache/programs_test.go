package cache

import (
	"errors"
	"io"
	"iter"
	"strings"
	"syscall"
)

// find walks to a path as the kernel would.
func (r *rig) find(p string) (Found, error) {
	f := Found{Node: r.Root()}
	for name := range strings.SplitSeq(p, "/") {
		var err error
		if f, err = r.Lookup(ctxOf(r.t), f.Node, name); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (r *rig) mustFind(p string) Found {
	r.t.Helper()
	f, err := r.find(p)
	if err != nil {
		r.t.Fatalf("finding %s: %v", p, err)
	}
	return f
}

// create makes a file with a content, as most programs do.
func (r *rig) create(dir *Node, name, content string) Found {
	r.t.Helper()
	f, h, err := r.Create(ctxOf(r.t), dir, name, syscall.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatalf("create %s: %v", name, err)
	}
	if _, err := h.Write(ctxOf(r.t), []byte(content), 0); err != nil {
		r.t.Fatal(err)
	}
	if err := h.Flush(ctxOf(r.t)); err != nil {
		r.t.Fatal(err)
	}
	h.Release()
	return f
}

// readFrom reads at most n bytes at off.
func (r *rig) readFrom(h *Handle, off int64, n int) (string, error) {
	v, err := h.Read(ctxOf(r.t), off, n)
	if err != nil {
		return "", err
	}
	defer v.Release()
	var b strings.Builder
	for _, p := range v.Vecs {
		b.Write(p)
	}
	return b.String(), nil
}

// opened opens a file, and has it closed at the end of the test.
func (r *rig) opened(n *Node, flags uint32) *Handle {
	r.t.Helper()
	h, _, err := r.Open(ctxOf(r.t), n, flags)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(h.Release)
	return h
}

// opening has a program open a file, which may have to wait, and gives what became of it when it is closed again.
func (r *rig) opening(n *Node, flags uint32) <-chan error {
	opened := make(chan error, 1)
	go func() {
		h, _, err := r.Open(ctxOf(r.t), n, flags)
		if err == nil {
			h.Release()
		}
		opened <- err
	}()
	return opened
}

// readAll opens, reads and closes a file as cat(1) does.
func (r *rig) readAll(n *Node) string {
	r.t.Helper()
	h, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
	if err != nil {
		r.t.Fatalf("open: %v", err)
	}
	defer h.Release()
	s := r.readOpen(h)
	if err := h.Flush(ctxOf(r.t)); err != nil {
		r.t.Fatalf("close: %v", err)
	}
	return s
}

func (r *rig) readOpen(h *Handle) string {
	r.t.Helper()
	a, _, err := r.Getattr(ctxOf(r.t), h.n, h)
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	for int64(b.Len()) < int64(a.Size) {
		v, err := h.Read(ctxOf(r.t), int64(b.Len()), 128<<10)
		if err != nil {
			r.t.Fatalf("read: %v", err)
		}
		for _, p := range v.Vecs {
			b.Write(p)
		}
		n := v.N
		v.Release()
		if n == 0 {
			break
		}
	}
	return b.String()
}

// asTheKernel does something with a name's node, and after ESTALE once more with what is found then.
func (r *rig) asTheKernel(name string, do func(*Node) error) error {
	err := error(syscall.ESTALE)
	for tries := 0; tries < 2 && errors.Is(err, syscall.ESTALE); tries++ {
		f, e := r.find(name)
		if e != nil {
			return e
		}
		err = do(f.Node)
	}
	return err
}

// openedByName is open(2) of a name.
func (r *rig) openedByName(name string, flags uint32) (h *Handle) {
	r.t.Helper()
	err := r.asTheKernel(name, func(n *Node) (err error) {
		h, _, err = r.Open(ctxOf(r.t), n, flags)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(h.Release)
	return h
}

func (r *rig) read(name string) (content string, err error) {
	err = r.asTheKernel(name, func(n *Node) error {
		h, _, err := r.Open(ctxOf(r.t), n, syscall.O_RDONLY)
		if err != nil {
			return err
		}
		defer h.Release()
		content = r.readOpen(h)
		return nil
	})
	return content, err
}

// fill writes to the beginning of a file.
func (r *rig) fill(h *Handle, content string) {
	r.t.Helper()
	if _, err := h.Write(ctxOf(r.t), []byte(content), 0); err != nil {
		r.t.Fatal(err)
	}
}

// finish is close(2) by the last who has a file open.
func (r *rig) finish(h *Handle) {
	r.t.Helper()
	if err := h.Flush(ctxOf(r.t)); err != nil {
		r.t.Fatal(err)
	}
	h.Release()
}

// list reads a directory to its end.
func (r *rig) list(n *Node) []DirEntry {
	r.t.Helper()
	d, err := r.OpenDir(ctxOf(r.t), n)
	if err != nil {
		r.t.Fatalf("opendir: %v", err)
	}
	defer d.Release()
	var all []DirEntry
	for e := range r.entries(d, 0) {
		if e.Off > 2 {
			all = append(all, e)
		}
	}
	return all
}

// entries gives the entries of an open directory from off on, "." and ".." among them, as readdir(3) does.
func (r *rig) entries(d *DirHandle, off uint64) iter.Seq[DirEntry] {
	return func(yield func(DirEntry) bool) {
		for {
			e, err := d.Next(ctxOf(r.t), off)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				r.t.Errorf("readdir: %v", err)
				return
			}
			off = e.Off
			if !yield(e) {
				return
			}
		}
	}
}

func names(list []DirEntry) map[string]bool {
	m := map[string]bool{}
	for _, e := range list {
		m[e.Name] = true
	}
	return m
}
