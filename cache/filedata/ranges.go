package filedata

import "math"

// maxOffset is behind every byte of every file.
const maxOffset = math.MaxInt64

// ranged is a part of a file: the bytes from off up to, and not with, end.
type ranged interface{ bounds() (off, end int64) }

// ranges is a list of ranges that don't overlap, in order. At the end, where
// streams work, everything costs a constant; in the middle an insertion moves
// eight bytes for each range behind it, which for all the 4 KiB ranges that
// fit a budget is a few microseconds.
type ranges[T ranged] struct{ s []T }

// search is the index of the first range that ends behind off.
func (r *ranges[T]) search(off int64) int {
	lo, hi := 0, len(r.s)
	// Streams ask for the last one.
	if hi > 0 {
		if _, end := r.s[hi-1].bounds(); end <= off {
			return hi
		}
	}
	for lo < hi {
		m := int(uint(lo+hi) / 2)
		if _, end := r.s[m].bounds(); end > off {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// at is the range that has the byte at off, or the offset where the next one begins.
func (r *ranges[T]) at(off int64) (v T, ok bool, next int64) {
	i := r.search(off)
	if i == len(r.s) {
		return v, false, maxOffset
	}
	if o, _ := r.s[i].bounds(); o > off {
		return v, false, o
	}
	return r.s[i], true, 0
}

func (r *ranges[T]) overlaps(off, end int64) bool {
	i := r.search(off)
	if i == len(r.s) {
		return false
	}
	o, _ := r.s[i].bounds()
	return o < end
}

// insert adds a range that overlaps none.
func (r *ranges[T]) insert(v T) {
	off, _ := v.bounds()
	i := r.search(off)
	var zero T
	r.s = append(r.s, zero)
	copy(r.s[i+1:], r.s[i:])
	r.s[i] = v
}

// remove takes out s[i:j].
func (r *ranges[T]) remove(i, j int) {
	var zero T
	n := copy(r.s[i:], r.s[j:])
	for k := i + n; k < len(r.s); k++ {
		r.s[k] = zero
	}
	r.s = r.s[:i+n]
	if len(r.s) == 0 && cap(r.s) > 1024 {
		r.s = nil
	}
}

// index of the range that begins at off; -1 where there is none.
func (r *ranges[T]) index(off int64) int {
	i := r.search(off)
	if i < len(r.s) {
		if o, _ := r.s[i].bounds(); o == off {
			return i
		}
	}
	return -1
}
