package session

import "encoding/binary"

// handles foresees which handle the server will give out next. OpenSSH's are the numbers of a table, four bytes each: what was
// given back last is given out first, and else the lowest that never was. Knowing that, what is to be
// asked of a file can go out in one flight with its OPEN (see Call.Foreseen). Guarded by Session.mu.
type handles struct {
	next    uint32   // the lowest number that was never given out
	back    []uint32 // given back, the last on top
	taken   uint64   // handles given out so far
	opening int      // requests in flight that take one
	closing int      // requests in flight that give one back
	may     bool     // the server may be OpenSSH's, by its extensions
	wrong   bool     // a handle was not the expected one: it has another way
}

// expected is the number that comes when others more have been taken.
func (h *handles) expected(others int) uint32 {
	if n := len(h.back); others < n {
		return h.back[n-1-others]
	}
	return h.next + uint32(others-len(h.back))
}

// foresee gives the handle that an OPEN sent now will get; "" where that can't be told. While others are given
// back it can't: a server may answer in another order than it was asked in, and what is asked of a handle that
// is another file's at that moment would be answered with that one's bytes.
func (h *handles) foresee() string {
	if !h.may || h.wrong || h.closing > 0 {
		return ""
	}
	return string(binary.BigEndian.AppendUint32(nil, h.expected(h.opening)))
}

// take notes a handle that was given out.
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

// giveBack notes a handle that the server has closed.
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
		h.opening++
	case c.closes != "":
		h.closing++
	}
}

// end notes its outcome. With Session.mu held.
func (h *handles) end(c *Call, err error) {
	switch {
	case c.want == answerHandle:
		h.opening--
		if err == nil {
			// Those that were asked for before it have come, and no other: so none of them had this handle meanwhile.
			c.asForeseen = c.text == c.foreseen && c.takenBefore == h.taken
			h.take(c.text)
		}
	case c.closes != "":
		h.closing--
		if err != ErrAbandoned {
			h.giveBack(c.closes) // OpenSSH gives the number free also where close(2) had an error
		}
	}
}
