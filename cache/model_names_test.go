package cache

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"pgregory.net/rapid"
)

func (pr *program) mkdir() {
	dir, p := pr.place()
	_, err := pr.r.Mkdir(ctxOf(pr.r.t), pr.find(dir), filepath.Base(p), 0o755)
	if _, there := pr.w[p]; there != errors.Is(err, syscall.EEXIST) || !there && err != nil {
		pr.rt.Fatalf("mkdir %q: %v, there before: %v", p, err, there)
	} else if !there {
		pr.w[p] = &inode{dir: true}
	}
}

func (pr *program) unlink() {
	if len(pr.w.files()) == 0 {
		return
	}
	p := rapid.SampledFrom(pr.w.files()).Draw(pr.rt, "file")
	if pr.heldOnBrokenLine(p) {
		return
	}
	dir, name := filepath.Split(p)
	if err := pr.r.Unlink(ctxOf(pr.r.t), pr.find(strings.TrimSuffix(dir, "/")), name); err != nil {
		pr.rt.Fatalf("unlink %q: %v", p, err)
	}
	delete(pr.w, p)
}

func (pr *program) rmdir() {
	p := rapid.SampledFrom(pr.w.dirs()).Draw(pr.rt, "dir")
	if p == "" {
		return
	}
	full := false
	for q := range pr.w {
		full = full || strings.HasPrefix(q, p+"/")
	}
	dir, name := filepath.Split(p)
	err := pr.r.Rmdir(ctxOf(pr.r.t), pr.find(strings.TrimSuffix(dir, "/")), name)
	if full != errors.Is(err, syscall.ENOTEMPTY) || !full && err != nil {
		pr.rt.Fatalf("rmdir %q: %v, full: %v", p, err, full)
	}
	if !full {
		delete(pr.w, p)
	}
}

func (pr *program) rename() {
	if len(pr.w) == 0 {
		return
	}
	from := rapid.SampledFrom(slices.Sorted(maps.Keys(pr.w))).Draw(pr.rt, "from")
	dir, to := pr.place()
	f, there := pr.w[to]
	if from == to || there && f == pr.w[from] || strings.HasPrefix(to+"/", from+"/") || there && (f.dir || pr.w[from].dir || pr.heldOnBrokenLine(to)) {
		return
	}
	fdir, fname := filepath.Split(from)
	if err := pr.r.Rename(ctxOf(pr.r.t), pr.find(strings.TrimSuffix(fdir, "/")), fname, pr.find(dir), filepath.Base(to), false); err != nil {
		pr.rt.Fatalf("rename %q to %q: %v", from, to, err)
	}
	moved := world{}
	for p, f := range pr.w {
		if p == from || strings.HasPrefix(p, from+"/") {
			moved[to+p[len(from):]] = f
			delete(pr.w, p)
		}
	}
	maps.Copy(pr.w, moved)
}

func (pr *program) link() {
	// After a lost line it can't always be told whether a link was made.
	if len(pr.w.files()) == 0 || pr.cuts {
		return
	}
	p := rapid.SampledFrom(pr.w.files()).Draw(pr.rt, "file")
	dir, to := pr.place()
	_, err := pr.r.Link(ctxOf(pr.r.t), pr.find(p), pr.find(dir), filepath.Base(to))
	if _, there := pr.w[to]; there != errors.Is(err, syscall.EEXIST) || !there && err != nil {
		pr.rt.Fatalf("link %q to %q: %v, there before: %v", p, to, err, there)
	} else if !there {
		pr.w[to] = pr.w[p]
	}
}

func (pr *program) list() {
	dir := rapid.SampledFrom(pr.w.dirs()).Draw(pr.rt, "dir")
	want := map[string]bool{}
	for p := range pr.w {
		if d, name := filepath.Split(p); strings.TrimSuffix(d, "/") == dir {
			want[name] = true
		}
	}
	got := map[string]bool{}
	for _, e := range pr.r.list(pr.find(dir)) {
		if got[e.Name] {
			pr.rt.Fatalf("%q is listed twice in %q", e.Name, dir)
		}
		got[e.Name] = true
	}
	if !maps.Equal(got, want) {
		pr.rt.Fatalf("%q lists %v, want %v", dir, got, want)
	}
}

func (pr *program) stat() {
	_, p := pr.place()
	want, there := pr.w[p]
	f, err := pr.r.find(p)
	switch {
	case there != (err == nil):
		pr.rt.Fatalf("stat %q: %v, there: %v", p, err, there)
	case there && !want.dir && f.Attr.Size != uint64(len(want.b)):
		pr.rt.Fatalf("%q has size %d, want %d", p, f.Attr.Size, len(want.b))
	}
}
