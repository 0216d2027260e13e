package session

import (
	"encoding/binary"
	"slices"
)

// table is a model of OpenSSH's table of handles. A handle is an index in it, four bytes long: the server gives out the one that was given
// back last, or else the lowest that was never given out. An example, with 0, 1 and 2 given out:
//
//	request     handle   back then   next then
//	                     -           3
//	CLOSE       0        0           3
//	CLOSE       2        0 2         3
//	OPEN        2        0           3
//	OPENDIR     0        -           3
//	OPEN        3        -           4
type table struct {
	next uint32   // the lowest number that was never given out
	back []uint32 // given back, the last on top
}

// expected is the number that the server gives out after it has given out others more.
func (t *table) expected(others int) uint32 {
	if n := len(t.back); others < n {
		return t.back[n-1-others]
	}
	return t.next + uint32(others-len(t.back))
}

// open returns how many handles the server has given out that were not given back.
func (t *table) open() int { return int(t.next) - len(t.back) }

// giveOut has the server give out the expected number.
func (t *table) giveOut() {
	if n := len(t.back); n > 0 {
		t.back = t.back[:n-1]
	} else {
		t.next++
	}
}

// giveBack has the server get a handle back; one of another length is none of the table.
func (t *table) giveBack(handle string) {
	if len(handle) == 4 {
		t.back = append(t.back, numberOf(handle))
	}
}

func numberOf(handle string) uint32 { return binary.BigEndian.Uint32([]byte(handle)) }
func handleOf(number uint32) string { return string(binary.BigEndian.AppendUint32(nil, number)) }

// handles foresees which handle the server will give out next. So requests about a file can go out in one flight with its OPEN (see
// Call.Foreseen). Guarded by Session.mu.
type handles struct {
	table           // as of the answers so far
	taken   uint64  // handles given out so far
	opening int     // requests in flight that take a handle
	closing int     // requests in flight that give one back
	moving  []*Call // both kinds of requests in flight, in the order in which they went out
	began   uint64  // number of requests so far that take a handle

	// READDIRs sent with a handle that was only foreseen, by handle.
	peekAt    map[string]int    // how many are in flight
	peekEnded map[string]uint64 // value of began when the last of them was answered

	may   bool // the server may be OpenSSH's, by its extensions
	wrong bool // a handle was not the expected one: the server gives them out in another way, so nothing is foreseen any more
}

// foresee returns the handle that an OPEN sent now will get; "" where that can't be told. It can't while handles are being
// given back: the server may answer out of order, and a READ with a handle that is still another file's would be answered
// with the bytes of that file.
func (h *handles) foresee() string {
	if !h.may || h.wrong || h.closing > 0 {
		return ""
	}
	return handleOf(h.expected(h.opening))
}

// foreseeDir returns the handle that an OPENDIR sent now will get; "" where that can't be told. It may be a handle that is being given
// back: if the READDIR is answered while the handle is still the old one, it brings no names, because that is a file (then it is refused)
// or a directory that was read to its end. But the server gives each name once. So it must not be a handle with which a READDIR is in
// flight that was meant for another directory: that could take names from this one.
func (h *handles) foreseeDir() string {
	if !h.may || h.wrong {
		return ""
	}
	then := table{next: h.next, back: slices.Clone(h.back)} // when what is in flight has been done
	for _, c := range h.moving {
		switch {
		case c.unread: // the handle that it gives back could bring names of the old directory
			return ""
		case c.closes != "":
			then.giveBack(c.closes)
		default:
			then.giveOut()
		}
	}
	id := handleOf(then.expected(0))
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
	if len(handle) != 4 || numberOf(handle) != h.expected(0) {
		h.wrong, h.back = true, nil
		return
	}
	h.giveOut()
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
			// Else a READDIR for another directory may have taken names, if one with this handle was answered after this OPENDIR went out.
			noPeeks := h.peekAt[c.text] == 0 && h.peekEnded[c.text] < c.began
			c.untouched = c.asForeseen || noPeeks
			h.take(c.text)
		}
	case c.closes != "":
		h.closing--
		h.moved(c, err)
		if err != ErrAbandoned && !h.wrong {
			h.giveBack(c.closes) // OpenSSH gives the number free also where close(2) had an error
		}
	case c.peeks != "":
		h.peekAt[c.peeks]--
		h.peekEnded[c.peeks] = h.began
	}
}
