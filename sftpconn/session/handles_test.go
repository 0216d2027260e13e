package session

import (
	"encoding/binary"
	"errors"
	"testing"
)

func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// ask sends an OPEN, answer gives it a handle.
func (h *handles) ask() *Call {
	c := &Call{want: answerHandle}
	h.begin(c)
	return c
}

func (h *handles) answer(c *Call, handle string) {
	c.text = handle
	h.end(c, nil)
}

func (h *handles) askClose(handle string) *Call {
	c := &Call{want: answerStatus, closes: handle}
	h.begin(c)
	return c
}

func TestHandlesAreForeseenAsOpenSSHGivesThem(t *testing.T) {
	h := &handles{may: true}
	for i, want := range []uint32{0, 1, 2} {
		c := h.ask()
		if c.Foreseen() != number(want) {
			t.Errorf("opening %d: foreseen %x", i, c.Foreseen())
		}
		h.answer(c, number(want))
		if !c.AsForeseen() {
			t.Errorf("opening %d was not as foreseen", i)
		}
	}
	for _, n := range []uint32{0, 1} {
		h.end(h.askClose(number(n)), nil)
	}
	// Several in flight: what was given back last comes first, then what never was.
	calls := []*Call{h.ask(), h.ask(), h.ask()}
	for i, want := range []uint32{1, 0, 3} {
		if calls[i].Foreseen() != number(want) {
			t.Errorf("opening %d of several: foreseen %x, want %d", i, calls[i].Foreseen(), want)
		}
		h.answer(calls[i], number(want))
		if !calls[i].AsForeseen() {
			t.Errorf("opening %d of several was not as foreseen", i)
		}
	}
}

func TestNoHandleIsForeseenWhileOneIsGivenBack(t *testing.T) {
	h := &handles{may: true}
	h.answer(h.ask(), number(0))
	closing := h.askClose(number(0))
	if c := h.ask(); c.Foreseen() != "" {
		t.Errorf("foreseen %x", c.Foreseen())
	} else {
		h.answer(c, number(1))
	}
	h.end(closing, nil)
	if h.expected(0) != 0 && !h.wrong {
		t.Error("the handle given back is not expected next")
	}
}

func TestAServerWithOtherHandlesIsNotGuessedAt(t *testing.T) {
	for name, handle := range map[string]string{"other numbers": number(7), "text": "handle", "empty": ""} {
		h := &handles{may: true}
		c := h.ask()
		h.answer(c, handle)
		if c.AsForeseen() {
			t.Errorf("%s: as foreseen", name)
		}
		if c := h.ask(); c.Foreseen() != "" {
			t.Errorf("%s: foreseen %x", name, c.Foreseen())
		}
	}
	if c := (&handles{}).ask(); c.Foreseen() != "" {
		t.Errorf("without the extension: foreseen %x", c.Foreseen())
	}
}

// A server that answers out of order may give a handle to one file and then to another, while a READ with it is on its way.
func TestAHandleThatWasAnotherFilesMeanwhileIsNotAsForeseen(t *testing.T) {
	h := &handles{may: true}
	ours := h.ask()  // foreseen: 0
	other := h.ask() // foreseen: 1
	h.answer(other, number(0))
	h.end(h.askClose(number(0)), nil)
	h.answer(ours, number(0))
	if ours.AsForeseen() {
		t.Error("what was read with it may be of the other file")
	}
}

// What is answered by then may have been done in another order, too.
func TestAServerThatAnswersInAnotherOrderIsNotGuessedAt(t *testing.T) {
	for name, err := range map[string]error{"granted": nil, "refused": &StatusError{Code: StatusNoSuchFile}} {
		h := &handles{may: true}
		h.answer(h.ask(), number(0))
		first := h.ask()
		closing := h.askClose(number(0))
		h.end(closing, err)
		if c := h.askDir(); c.Foreseen() != "" {
			t.Errorf("%s: foreseen %x", name, c.Foreseen())
		}
		h.answer(first, number(1))
	}
	h := &handles{may: true}
	first, givenUp := h.ask(), h.ask()
	h.end(givenUp, ErrAbandoned)
	h.answer(first, number(0))
	if c := h.askDir(); c.Foreseen() != number(1) {
		t.Errorf("foreseen %x behind a request that was not sent", c.Foreseen())
	}
}

func TestAnOpeningThatFailsTakesNoHandle(t *testing.T) {
	h := &handles{may: true}
	failing, next := h.ask(), h.ask()
	h.end(failing, errors.New("no such file"))
	h.answer(next, number(0))
	if next.AsForeseen() {
		t.Errorf("foreseen was %x", next.Foreseen())
	}
	if c := h.ask(); c.Foreseen() != number(1) {
		t.Errorf("foreseen %x", c.Foreseen())
	}
}

func (h *handles) askDir() *Call {
	c := &Call{want: answerHandle, lists: true}
	h.begin(c)
	return c
}

func (h *handles) peek(handle string) *Call {
	c := &Call{want: answerEntries, peeks: handle}
	h.begin(c)
	return c
}

func TestTheHandleOfADirectoryIsForeseenWhileOthersAreGivenBack(t *testing.T) {
	h := &handles{may: true}
	for i := range 3 {
		h.answer(h.ask(), number(uint32(i)))
	}
	closing := h.askClose(number(1))
	first, second := h.askDir(), h.askDir()
	if first.Foreseen() != number(1) || second.Foreseen() != number(3) {
		t.Errorf("foreseen %x and %x", first.Foreseen(), second.Foreseen())
	}
	h.end(closing, nil)
	h.answer(first, number(1))
	h.answer(second, number(3))
	if !first.AsForeseen() || !second.AsForeseen() || !first.Untouched() || !second.Untouched() {
		t.Error("they were not as foreseen")
	}
	unread := &Call{want: answerStatus, closes: number(1), unread: true}
	h.begin(unread)
	if c := h.askDir(); c.Foreseen() != "" {
		t.Errorf("foreseen %x while a directory with names is given back", c.Foreseen())
	}
}

func TestAHandleThatAnotherMayHaveReadWithIsTold(t *testing.T) {
	h := &handles{may: true}
	refused := h.askDir()
	peek := h.peek(refused.Foreseen())
	behind := h.askDir()
	h.end(refused, errors.New("no such directory"))
	h.answer(behind, number(0))
	if behind.Untouched() {
		t.Error("a READDIR that was sent for another may have come with its handle")
	}
	h.end(h.askClose(number(0)), nil)
	if c := h.askDir(); c.Foreseen() != "" {
		t.Errorf("%x was foreseen, with which another reads", c.Foreseen())
	} else {
		h.end(peek, errors.New("no such handle"))
		if h.answer(c, number(0)); c.Untouched() {
			t.Error("another may have read with a handle that was not foreseen")
		}
		h.end(h.askClose(number(0)), nil)
	}
	c := h.askDir()
	if h.answer(c, number(0)); !c.AsForeseen() || !c.Untouched() {
		t.Error("what has been answered long ago can't have come with its handle")
	}
}
