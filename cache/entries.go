package cache

// entriesPer is how many entries lie together in memory: 72 KiB of them.
const entriesPer = 1024

// entries are those of a listing, in its order. They lie in pieces, of which only the last grows: a listing of a million names in one
// piece would be there twice each time it has grown out of its room, and be copied while all else waits.
type entries struct{ pieces [][]listEnt }

func (s *entries) len() int {
	if len(s.pieces) == 0 {
		return 0
	}
	last := len(s.pieces) - 1
	return last*entriesPer + len(s.pieces[last])
}

// at is entry i, until the next append.
func (s *entries) at(i int) *listEnt { return &s.pieces[i/entriesPer][i%entriesPer] }

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
