package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"sshmount/sftpconn/session"
)

// smallBeforeBulk is how many small files are read over the channel of names before
// a channel is opened for them.
const smallBeforeBulk = 4

// ReadSmall opens a file, reads it and closes it, without a File, as a rule in two flights. It
// returns the content and the attributes (of an LSTAT before the opening, as with Open). It fails for
// what is no regular file, or is longer than most bytes. Requests that a program waits for go first.
// The name must be known to lead to a regular file: opening a FIFO blocks the server.
func (c *Conn) ReadSmall(ctx context.Context, path string, most int) (content []byte, a Attr, err error) {
	err = c.retry(ctx, "read", path, func(names *channel, _ bool) error {
		var err error
		content, a, err = c.readSmall(ctx, c.aside(names, path), path, most)
		return err
	})
	if err != nil {
		return nil, Attr{}, wrap(err, "read", path)
	}
	return content, a, nil
}

// aside returns the channel on which to read the small file at path: the least busy one. A new file that has still to get its permission
// bits is read on the channel of names, behind the request for them: on another it would still have those that the server's umask left.
func (c *Conn) aside(names *channel, path string) *channel {
	if c.owes(path) {
		return names
	}
	least := names
	for _, ch := range names.link.bulkChannels() {
		if !ch.over() && (least == names || ch.s.InFlight() < least.s.InFlight()) {
			least = ch
		}
	}
	if least == names && c.smalls.Add(1) > smallBeforeBulk {
		names.link.grow(1)
	}
	return least
}

// readSmall is ReadSmall on ch, once.
func (c *Conn) readSmall(ctx context.Context, ch *channel, path string, most int) ([]byte, Attr, error) {
	stat, open := ch.s.LookAndOpen(path, session.OpenRead, Attr{})
	// A FIFO may have got the name meanwhile. No program waits for this OPEN, so it must not block others for long.
	soon, cancel := context.WithTimeout(ctx, stuckAfter)
	defer cancel()
	statErr := ch.wait(soon, stat)
	if err := ch.wait(soon, open); err != nil {
		closeWhenOpen(c, ch, open)
		if isLost(statErr) {
			err = statErr // it was this request that the server was working on
		}
		return nil, Attr{}, err
	}
	defer ch.s.CloseHandle(open.Handle())
	if statErr != nil {
		return nil, Attr{}, statErr
	}
	a := stat.Attr()
	switch {
	case !isRegular(a):
		return nil, Attr{}, errors.New("no regular file")
	case a.Size > uint64(most):
		return nil, Attr{}, fmt.Errorf("file of %d bytes is longer than %d", a.Size, most)
	}
	// One byte more than there should be: where that is not read, the file has ended.
	buf := make([]byte, int(a.Size)+1)
	n := 0
	for {
		got, err := c.readFlight(ctx, ch, open.Handle(), buf[n:], n)
		n += got
		switch {
		case errors.Is(err, io.EOF):
			return buf[:n:n], a, nil
		case err != nil:
			return nil, Attr{}, err
		case n > most:
			return nil, Attr{}, fmt.Errorf("file has become longer than %d bytes", most)
		case n == int(a.Size) && got > 0:
			return buf[:n:n], a, nil
		case n == len(buf):
			buf = append(buf, make([]byte, min(len(buf), most+1-n))...)
		}
	}
}

// readFlight reads up to len(dst) bytes at off in one flight. It returns how many it has got before the first gap.
func (c *Conn) readFlight(ctx context.Context, ch *channel, handle string, dst []byte, off int) (int, error) {
	most := c.MaxRead()
	order := nextOrder()
	var parts []*part
	var others sync.WaitGroup
	for at := 0; at < len(dst); {
		g, err := ch.link.read.acquire(ctx, want{n: min(most, len(dst)-at), ahead: true, order: order})
		if err != nil {
			if errors.Is(err, errLinkOver) {
				err = &session.LostError{Err: err}
			}
			parts = append(parts, &part{err: err})
			break
		}
		one := &part{size: int(g.n)}
		parts = append(parts, one)
		call := ch.s.Read(handle, uint64(off+at), dst[at:at+one.size])
		at += one.size
		others.Go(func() {
			// What is still being filled when ctx ends is not used again.
			_, one.err = ch.transfer(ctx, call, func(done int) { ch.link.read.release(g, done, call.RTT()) })
			if one.err == nil {
				one.n = call.N()
			}
		})
	}
	others.Wait()
	n := 0
	for _, p := range parts {
		n += p.n
		if p.err != nil {
			if n > 0 && errors.Is(p.err, io.EOF) {
				return n, nil
			}
			return n, p.err
		}
		if p.n < p.size {
			break
		}
	}
	return n, nil
}
