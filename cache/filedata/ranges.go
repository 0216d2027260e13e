package filedata

import (
	"math"
	"slices"
	"sort"
)

// maxOffset is behind every byte of every file.
const maxOffset = math.MaxInt64

// ranged is a part of a file: the bytes at off and behind it, before end.
type ranged interface{ bounds() (off, end int64) }

// ranges is a list of ranges that don't overlap, in order. At the end, where
// streams work, everything costs a constant; in the middle an insertion moves
// eight bytes for each range behind it, which for all the 4 KiB ranges that
// fit a budget is a few microseconds.
type ranges[T ranged] struct{ s []T }

// search is the index of the first range that ends behind off; the length of the list where there is none.
func (r *ranges[T]) search(off int64) int {
	n := len(r.s)
	if n == 0 {
		return 0
	}
	if _, end := r.s[n-1].bounds(); end <= off {
		return n // where a stream goes on
	}
	return sort.Search(n, func(i int) bool {
		_, end := r.s[i].bounds()
		return end > off
	})
}

// at is the range that has the byte at off. Where ok is false there is none, and next is the offset at which the next range begins.
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

// overlaps says whether a range has any byte of [off, end).
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
	r.s = slices.Insert(r.s, r.search(off), v)
}

// remove takes out s[i:j]. A list that is empty then keeps no large array.
func (r *ranges[T]) remove(i, j int) {
	r.s = slices.Delete(r.s, i, j)
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
