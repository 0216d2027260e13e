package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"sshmount/sftpconn/session"
)

const (
	listWindowFirst = 2
	listWindowMost  = 32
	listFullAnswer  = 64 // names; fewer in a first answer are taken for the whole directory (OpenSSH gives up to 100)
)

// listMost is the most names that are taken of a directory: a server may go on for ever, even with the same ones. take has to bound the
// memory that they take. A variable for the tests.
var listMost = 16 << 20

// errStop carries the error of take out of a listing.
type errStop struct{ error }

// List reads a directory: OPENDIR, and READDIRs pipelined in a window of 2 growing to 32, the first in the flight of OPENDIR if its
// handle can be foreseen. CLOSE is not waited for. take gets the names of one answer at a time, in order, and may keep the slice. "."
// and ".." are left out; names that no file can have here ("", with '/' or NUL, too long) are dropped, and logged. An error of take
// ends the listing, and is returned. A listing that a lost line interrupts starts again: the next call of take has restart true, and
// what it got before does not count.
func (c *Conn) List(ctx context.Context, path string, take func(names []Entry, restart bool) error) error {
	given := false
	err := c.retry(ctx, "list", path, func(ch *channel, _ bool) error {
		restart := given
		return c.list(ctx, ch, path, func(names []Entry) error {
			if len(names) == 0 && !restart {
				return nil
			}
			err := take(names, restart)
			given, restart = true, false
			if err != nil {
				return errStop{err}
			}
			return nil
		})
	})
	if stop, ok := errors.AsType[errStop](err); ok {
		return stop.error
	}
	return wrap(err, "list", path)
}

// list reads a directory once, on ch. At the end it calls take with no names.
func (c *Conn) list(ctx context.Context, ch *channel, path string, take func([]Entry) error) error {
	handle, flight, err := c.opendir(ctx, ch, path)
	if err != nil {
		return err
	}
	early := len(flight) // how many of those in flight, from the front, were sent before the OPENDIR was answered
	atEnd := false       // the server had no more names
	defer func() {
		if atEnd {
			ch.s.CloseHandle(handle)
		} else {
			ch.s.CloseUnread(handle)
		}
	}()

	var left leftOut
	defer func() { left.tell(c.o.Logger, path) }()

	size, most, ended := listWindowFirst, listFullAnswer, false
	all := 0       // names that came
	short := false // the last answer was less than the server can give: the end is near
	for {
		for !ended && len(flight) < size && !(short && len(flight) > 0) {
			flight = append(flight, ch.s.Readdir(handle))
		}
		if len(flight) == 0 {
			atEnd = true
			return take(nil)
		}
		call := flight[0]
		flight = flight[1:]
		wasEarly := early > 0
		early = max(0, early-1)
		// Answers behind the end are looked at too: a server that answers out of order
		// may have put names there.
		err := ch.wait(ctx, call)
		none := errors.Is(err, io.EOF) || err == nil && len(call.Entries()) == 0
		if wasEarly && (refused(err) || all == 0 && none) {
			continue // a server that answers out of order may have answered it before the OPENDIR
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				ended = true
				continue
			}
			if ended && refused(err) {
				continue
			}
			return err
		}
		names := call.Entries()
		if len(names) == 0 {
			ended = true // some servers end a directory in this way, and OpenSSH's own client takes it for the end
			continue
		}
		if all += len(names); all > listMost {
			return fmt.Errorf("the server lists more than %d names", listMost)
		}
		short = len(names) < most
		most = len(names)
		if err := take(left.sound(names)); err != nil {
			return err
		}
		if size < listWindowMost && !crowded(ch.link, call) {
			size *= 2
		}
	}
}

// opendir opens a directory, and returns the READDIRs that went out with it; flight is empty where its handle could not be foreseen. Where
// a READDIR that was meant for another directory may have taken names from this one, it opens it anew, openMost times at most.
func (c *Conn) opendir(ctx context.Context, ch *channel, path string) (handle string, flight []*session.Call, err error) {
	for range openMost {
		open, reads := ch.s.OpendirAndRead(path, listWindowFirst)
		if err = ch.wait(ctx, open); err != nil {
			closeWhenOpen(c, ch, open)
		} else if open.AsForeseen() {
			return open.Handle(), reads, nil
		}
		for _, call := range reads {
			call.Abandon() // they may bring the names of another directory
		}
		if err != nil {
			return "", nil, err
		}
		if open.Untouched() {
			return open.Handle(), nil, nil
		}
		ch.s.CloseUnread(open.Handle())
	}
	return "", nil, fmt.Errorf("each of %d handles that the server gave the directory is one with which another may be read", openMost)
}

// openMost is far more than any number of simultaneous listings needs. Only a server that leaves a READDIR unanswered, and gives out its
// handle again and again, reaches it.
const openMost = 100

// crowded reports whether an answer came so late that more requests in flight would only queue.
func crowded(l *link, call *session.Call) bool {
	return call.RTT() > 2*l.rtt.get()+20*time.Millisecond
}

// closeWhenOpen closes the handle that open may still bring, although nobody waits for it any more.
func closeWhenOpen(c *Conn, ch *channel, open *session.Call) {
	c.spawn(func() {
		<-open.Done()
		if open.Wait(c.ctx) == nil {
			ch.s.CloseUnread(open.Handle())
		}
	})
}

// longestName is NAME_MAX of Linux, in bytes. Windows allows 255 UTF-16 units, which can be three times as many bytes.
const longestName = 255

// leftOut is the names of a listing that no file can have here. They are logged in one line: a server may list very many.
type leftOut struct {
	names int
	first string // its beginning
}

// sound removes, in place, the names of an answer that no file can have here.
func (l *leftOut) sound(names []Entry) []Entry {
	kept := names[:0]
	for _, e := range names {
		switch {
		case e.Name == "." || e.Name == "..":
		case e.Name == "" || len(e.Name) > longestName || strings.ContainsAny(e.Name, "/\x00"):
			if l.names++; l.names == 1 {
				l.first = e.Name[:min(len(e.Name), 2*longestName)]
			}
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

// tell logs them, where there are any.
func (l *leftOut) tell(log *slog.Logger, dir string) {
	if l.names > 0 {
		log.Warn("the server lists names that no file can have here; they are left out", "directory", dir, "first", l.first, "names", l.names)
	}
}
