package cache

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"pgregory.net/rapid"
)

func (pr *program) create() {
	dir, p := pr.place()
	f, there := pr.w[p]
	if there && f.dir {
		return
	}
	_, h, err := pr.r.Create(ctxOf(pr.r.t), pr.find(dir), filepath.Base(p), syscall.O_RDWR, 0o644)
	if err != nil {
		pr.rt.Fatalf("create %q: %v", p, err)
	}
	if !there {
		pr.w[p] = &inode{}
	}
	pr.open = append(pr.open, &opened{h: h, f: pr.w[p]})
}

func (pr *program) openAgain() {
	if len(pr.w.files()) == 0 {
		return
	}
	p := rapid.SampledFrom(pr.w.files()).Draw(pr.rt, "file")
	flags := uint32(syscall.O_RDWR)
	if rapid.Bool().Draw(pr.rt, "truncate") {
		flags |= syscall.O_TRUNC
	}
	h, _, err := pr.r.Open(ctxOf(pr.r.t), pr.find(p), flags)
	if err != nil {
		pr.rt.Fatalf("open %q: %v", p, err)
	}
	if flags&syscall.O_TRUNC != 0 {
		pr.w[p].b = nil
	}
	pr.open = append(pr.open, &opened{h: h, f: pr.w[p]})
}

func (pr *program) write() {
	if len(pr.open) == 0 {
		return
	}
	o := rapid.SampledFrom(pr.open).Draw(pr.rt, "handle")
	off := rapid.IntRange(0, 100_000).Draw(pr.rt, "off")
	data := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(pr.rt, "byte"))}, rapid.IntRange(1, 70_000).Draw(pr.rt, "len"))
	if _, err := o.h.Write(ctxOf(pr.r.t), data, int64(off)); err != nil {
		pr.rt.Fatalf("write: %v", err)
	}
	o.f.put(data, off)
}

func (pr *program) read() {
	if len(pr.open) == 0 {
		return
	}
	o := rapid.SampledFrom(pr.open).Draw(pr.rt, "handle")
	if got := pr.r.readOpen(o.h); got != string(o.f.b) {
		pr.rt.Fatalf("a file reads %d bytes, want %d; first difference at %d", len(got), len(o.f.b), differs(got, string(o.f.b)))
	}
}

func (pr *program) truncate() {
	if len(pr.open) == 0 {
		return
	}
	o := rapid.SampledFrom(pr.open).Draw(pr.rt, "handle")
	size := uint64(rapid.IntRange(0, 120_000).Draw(pr.rt, "size"))
	if _, _, err := pr.r.Setattr(ctxOf(pr.r.t), o.h.n, o.h, SetAttr{Size: &size}); err != nil {
		pr.rt.Fatalf("truncate: %v", err)
	}
	o.f.resize(int(size))
}

func (pr *program) close() {
	if len(pr.open) == 0 {
		return
	}
	i := rapid.IntRange(0, len(pr.open)-1).Draw(pr.rt, "handle")
	o := pr.open[i]
	if err := o.h.Flush(ctxOf(pr.r.t)); err != nil {
		pr.rt.Fatalf("close: %v", err)
	}
	for p, f := range pr.w {
		if !pr.async && f == o.f && pr.r.remote(p) != string(f.b) {
			pr.rt.Fatalf("after close %q is another on the server", p)
		}
	}
	o.h.Release()
	pr.open = slices.Delete(pr.open, i, i+1)
}

func (pr *program) fsync() {
	if len(pr.open) == 0 {
		return
	}
	o := rapid.SampledFrom(pr.open).Draw(pr.rt, "handle")
	if err := o.h.Fsync(ctxOf(pr.r.t)); err != nil {
		pr.rt.Fatalf("fsync: %v", err)
	}
}

func (pr *program) setTimes() {
	if len(pr.w.files()) == 0 {
		return
	}
	p := rapid.SampledFrom(pr.w.files()).Draw(pr.rt, "file")
	when := time.Unix(int64(rapid.IntRange(1e9, 1e9+1e6).Draw(pr.rt, "time")), 0)
	n := pr.find(p)
	if _, _, err := pr.r.Setattr(ctxOf(pr.r.t), n, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil {
		pr.rt.Fatalf("times of %q: %v", p, err)
	}
	if a, _, err := pr.r.Getattr(ctxOf(pr.r.t), n, nil); err != nil || a.Mtime != when.Unix() {
		pr.rt.Fatalf("times of %q: %d, want %d, %v", p, a.Mtime, when.Unix(), err)
	}
}

func (pr *program) copy() {
	if len(pr.open) < 2 || pr.cuts {
		return
	}
	from, to := rapid.SampledFrom(pr.open).Draw(pr.rt, "from"), rapid.SampledFrom(pr.open).Draw(pr.rt, "to")
	if from.f == to.f {
		return
	}
	at, off := rapid.IntRange(0, 50_000).Draw(pr.rt, "at"), rapid.IntRange(0, 50_000).Draw(pr.rt, "off")
	n := rapid.IntRange(1, 100_000).Draw(pr.rt, "len")
	copied, err := pr.r.Copy(ctxOf(pr.r.t), from.h, int64(at), to.h, int64(off), int64(n))
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return
	}
	want := from.f.b[min(at, len(from.f.b)):min(at+n, len(from.f.b))]
	if err != nil || int(copied) != len(want) {
		pr.rt.Fatalf("%d bytes copied, want %d, %v", copied, len(want), err)
	}
	to.f.put(want, off)
}
