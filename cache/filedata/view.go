package filedata

import "sync"

// View is what a read gives: Vecs stay valid, and don't change, until Release.
type View struct {
	Vecs [][]byte
	N    int
	a    *assembly
}

// Release gives the memory back. Vecs may not be used afterwards.
func (v *View) Release() {
	if v.a != nil {
		v.a.release()
	}
	*v = View{}
}

// part is a piece of a read: bytes of an extent (buf), zeros (neither), or what a span has or will get.
type part struct {
	off, end int64
	buf      *buffer // held
	base     int64
	span     *span
}

// assembly is the parts of one read, and then the memory of its View.
type assembly struct {
	parts []part
	vecs  [][]byte
}

var assemblies = sync.Pool{New: func() any {
	return &assembly{parts: make([]part, 0, 8), vecs: make([][]byte, 0, 8)}
}}

// drop lets go of the memory.
func (a *assembly) drop() {
	for i := range a.parts {
		if b := a.parts[i].buf; b != nil {
			b.unref()
		}
	}
	clear(a.parts)
	clear(a.vecs)
	a.parts, a.vecs = a.parts[:0], a.vecs[:0]
}

func (a *assembly) release() {
	a.drop()
	assemblies.Put(a)
}

// zeros is what a hole is made of.
var zeros [128 << 10]byte
