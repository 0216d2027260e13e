package session

import (
	"encoding/binary"
	"slices"
)

// handles foresees which handle the server will give out next. OpenSSH's are the indexes of a table, four bytes each: it gives out the
// one that was given back last, or else the lowest that was never given out. So requests about a file can go out in one flight with its
// OPEN (see Call.Foreseen). Guarded by Session.mu.
type handles struct {
	next    uint32   // the lowest number that was never given out
	back    []uint32 // given back, the last on top
	taken   uint64   // handles given out so far
	opening int      // requests in flight that take a handle
	closing int      // requests in flight that give one back
	moving  []*Call  // both kinds of requests in flight, in the order in which they went out
	began   uint64   // number of requests so far that take a handle

	// READDIRs sent with a handle that was only foreseen, by handle.
	peekAt    map[string]int    // how many are in flight
	peekEnded map[string]uint64 // value of began when the last of them was answered

	may   bool // the server may be OpenSSH's, by its extensions
	wrong bool // a handle was not the expected one: the server gives them out in another way, so nothing is foreseen any more
}

// expected is the number that the server gives out after it has given out others more.
func (h *handles) expected(others int) uint32 {
	if n := len(h.back); others < n {
		return h.back[n-1-others]
	}
	return h.next + uint32(others-len(h.back))
}

// foresee returns the handle that an OPEN sent now will get; "" where that can't be told. It can't while handles are being
// given back: the server may answer out of order, and a READ with a handle that is still another file's would be answered
// with the bytes of that file.
func (h *handles) foresee() string {
	if !h.may || h.wrong || h.closing > 0 {
		return ""
	}
	return string(binary.BigEndian.AppendUint32(nil, h.expected(h.opening)))
}

// foreseeDir returns the handle that an OPENDIR sent now will get; "" where that can't be told. It may be a handle that is being given
// back: if the READDIR is answered while the handle is still the old one, it brings no names, because that is a file (then it is refused)
// or a directory that was read to its end. But the server gives each name once. So it must not be a handle with which a READDIR is in
// flight that was meant for another directory: that could take names from this one.
func (h *handles) foreseeDir() string {
	if !h.may || h.wrong {
		return ""
	}
	back, next := slices.Clone(h.back), h.next
	for _, c := range h.moving {
		switch n := len(back); {
		case c.unread:
			return ""
		case c.closes != "":
			if len(c.closes) == 4 {
				back = append(back, binary.BigEndian.Uint32([]byte(c.closes)))
			}
		case n > 0:
			back = back[:n-1]
		default:
			next++
		}
	}
	if n := len(back); n > 0 {
		next = back[n-1]
	}
	id := string(binary.BigEndian.AppendUint32(nil, next))
	if h.peekAt[id] > 0 {
		return ""
	}
	return id
}

// take notes a handle that the server gave out.
func (h *handles) take(handle string) {
	h.taken++
	if h.wrong {
		return
	}
	if len(handle) != 4 || binary.BigEndian.Uint32([]byte(handle)) != h.expected(0) {
		h.wrong, h.back = true, nil
		return
	}
	if n := len(h.back); n > 0 {
		h.back = h.back[:n-1]
	} else {
		h.next++
	}
}

// giveBack notes that the server has closed a handle.
func (h *handles) giveBack(handle string) {
	if !h.wrong && len(handle) == 4 {
		h.back = append(h.back, binary.BigEndian.Uint32([]byte(handle)))
	}
}

// begin notes a request that goes out. With Session.mu held.
func (h *handles) begin(c *Call) {
	switch {
	case c.want == answerHandle:
		c.foreseen, c.takenBefore = h.foresee(), h.taken+uint64(h.opening)
		if c.lists {
			c.foreseen = h.foreseeDir()
		}
		h.began++
		c.began = h.began
		h.opening++
		h.moving = append(h.moving, c)
	case c.closes != "":
		h.closing++
		h.moving = append(h.moving, c)
	case c.peeks != "":
		if h.peekAt == nil {
			h.peekAt, h.peekEnded = map[string]int{}, map[string]uint64{}
		}
		h.peekAt[c.peeks]++
	}
}

// moved takes a request out of moving: it is answered with err, or lost. A server that answers it before one that was sent
// earlier is not OpenSSH's, so its handles are not foreseen any more.
func (h *handles) moved(c *Call, err error) {
	i := slices.Index(h.moving, c)
	if i < 0 {
		return
	}
	h.moving = slices.Delete(h.moving, i, i+1)
	if _, refused := err.(*StatusError); i > 0 && (err == nil || refused) {
		h.wrong, h.back = true, nil
	}
}

// end notes the outcome of a request that begin has noted. With Session.mu held.
func (h *handles) end(c *Call, err error) {
	switch {
	case c.want == answerHandle:
		h.opening--
		h.moved(c, err)
		if err == nil {
			// Exactly the handles that were asked for before have been given out before: none of them was this one.
			c.asForeseen = !h.wrong && c.text == c.foreseen && c.takenBefore == h.taken
			c.untouched = c.asForeseen || h.peekAt[c.text] == 0 && h.peekEnded[c.text] < c.began
			h.take(c.text)
		}
	case c.closes != "":
		h.closing--
		h.moved(c, err)
		if err != ErrAbandoned {
			h.giveBack(c.closes) // OpenSSH gives the number free also where close(2) had an error
		}
	case c.peeks != "":
		h.peekAt[c.peeks]--
		h.peekEnded[c.peeks] = h.began
	}
}
