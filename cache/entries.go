package cache

import "iter"

// entriesPer is how many entries lie together in memory: 72 KiB of them.
const entriesPer = 1024

// entries are the entries of a listing, in its order. They lie in pieces, of which only the last grows: were a million of them in one
// slice, each append that finds no room would copy them all, while everybody waits for Cache.mu.
type entries struct{ pieces [][]listEnt }

func (s *entries) len() int {
	if len(s.pieces) == 0 {
		return 0
	}
	last := len(s.pieces) - 1
	return last*entriesPer + len(s.pieces[last])
}

// at is entry i. The pointer is good until the next append.
func (s *entries) at(i int) *listEnt { return &s.pieces[i/entriesPer][i%entriesPer] }

// all goes through the entries, with the position of each. Nothing may be appended meanwhile.
func (s *entries) all() iter.Seq2[int, *listEnt] {
	return func(yield func(int, *listEnt) bool) {
		for i := range s.len() {
			if !yield(i, s.at(i)) {
				return
			}
		}
	}
}

func (s *entries) append(e listEnt) {
	last := len(s.pieces) - 1
	switch {
	case last < 0:
		s.pieces = [][]listEnt{nil} // most directories are small
		last = 0
	case len(s.pieces[last]) == entriesPer:
		s.pieces = append(s.pieces, make([]listEnt, 0, entriesPer))
		last++
	}
	s.pieces[last] = append(s.pieces[last], e)
}
