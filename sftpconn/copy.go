package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sshmount/sftpconn/session"
)

const (
	copyFirst = 4 << 20   // the first piece of a copy, in bytes
	copyMost  = 256 << 20 // the largest
	copyLeast = 256 << 10 // the smallest

	// A server answers the requests of one channel in order, and a copy is one long
	// request. Pieces are measured so that on the channel of names they are over soon;
	// on a channel for copies alone they may take longer.
	copyTimeNames = 50 * time.Millisecond
	copyTimeOwn   = time.Second

	// copyAside is how long the rest of a copy must take, by the rate of the last piece, for it
	// to get a channel of its own: to open both files there takes some round trips.
	copyAside = 250 * time.Millisecond
)

// CopyData copies n bytes on the server (copy-data), and returns how many were copied: fewer than n where the source ends before. With
// an error more may have been copied than it returns. ErrUnsupported where the server can't.
func (c *Conn) CopyData(ctx context.Context, src *File, srcOff, n int64, dst *File, dstOff int64) (int64, error) {
	if src == dst {
		return 0, ErrUnsupported // the server takes no handle twice
	}
	dst.extend(dstOff + n)
	piece := int64(copyFirst)
	aside := false // the rest goes over a channel of its own
	done := int64(0)
	for done < n {
		if asker := askerOf(ctx); asker.Err() != nil {
			return done, context.Cause(asker) // who has given up wants no further piece
		}
		part := min(piece, n-done)
		got, err := c.copyPiece(ctx, src, srcOff+done, part, dst, dstOff+done, aside)
		if errors.Is(err, errStripe) {
			return done, fmt.Errorf("%w: the files can't be opened on one channel: %w", ErrUnsupported, err)
		}
		if err != nil {
			return done, wrap2(err, "copy", src.r.Path(), dst.r.Path())
		}
		done += got.n
		if got.n > 0 {
			dst.acknowledge(dstOff + done)
		}
		if got.n < part {
			break
		}
		rate := float64(part) / max(got.took-c.RTT(), time.Millisecond).Seconds()
		piece = int64(rate * got.limit.Seconds())
		piece = min(max(piece, part/2, copyLeast), part*16, copyMost)
		aside = float64(n-done)/rate > copyAside.Seconds()
	}
	return done, nil
}

// copied is what came of one piece of a copy.
type copied struct {
	n     int64
	took  time.Duration
	limit time.Duration // how long a piece may take on the channel that this one went over
}

// copyPiece copies n bytes with one request, and again where the session is lost. aside is as for copyOver.
func (c *Conn) copyPiece(ctx context.Context, src *File, srcOff, n int64, dst *File, dstOff int64, aside bool) (got copied, err error) {
	err = c.retry(ctx, "copy", src.r.Path(), func(names *channel, _ bool) error {
		ch, from, to, err := copyOver(ctx, names, src, dst, aside)
		if err != nil {
			return err
		}
		defer src.drop(from)
		defer dst.drop(to)
		if !ch.s.Has("copy-data") {
			return ErrUnsupported
		}
		if got.limit = copyTimeOwn; ch == names {
			got.limit = copyTimeNames
		}
		begun := time.Now()
		got.n, err = copyOnce(ctx, ch, from, srcOff, n, to, dstOff)
		got.took = time.Since(begun)
		return err
	})
	return got, err
}

// copyOver gives the channel over which a piece is copied, and handles of both files on it, with a reference each: with aside the
// channel for copies, if both files are open there; else that of names.
func copyOver(ctx context.Context, names *channel, src, dst *File, aside bool) (ch *channel, from, to *handle, err error) {
	if aside {
		if own := names.link.copyChannel(); own != nil && spreadTo(own, src, dst) {
			if from, to, err = bothOn(ctx, src, dst, own); !errors.Is(err, errStripe) {
				return own, from, to, err
			}
		}
	}
	from, to, err = bothOn(ctx, src, dst, names)
	return names, from, to, err
}

// copyOnce sends one request to copy, and returns how many bytes were copied. Not every server says that the source ended before; so
// both sizes are asked for behind the copy, in the same flight.
func copyOnce(ctx context.Context, ch *channel, from *handle, srcOff, n int64, to *handle, dstOff int64) (int64, error) {
	request := ch.s.CopyData(from.id, uint64(srcOff), uint64(n), to.id, uint64(dstOff))
	source, target := ch.s.Fstat(from.id), ch.s.Fstat(to.id)
	err := ch.wait(ctx, request)
	sourceErr, targetErr := ch.wait(ctx, source), ch.wait(ctx, target)
	switch {
	case status(err) == session.StatusOpUnsupported:
		return 0, ErrUnsupported
	case status(err) == session.StatusEOF:
	case err != nil:
		return 0, err
	}
	if err := errors.Join(sourceErr, targetErr); err != nil {
		return 0, err
	}
	there := n
	for _, end := range []struct {
		a    Attr
		from int64
	}{{source.Attr(), srcOff}, {target.Attr(), dstOff}} {
		if end.a.Flags&session.HasSize != 0 {
			there = min(there, max(int64(end.a.Size)-end.from, 0))
		}
	}
	if status(err) == session.StatusEOF && there == n {
		return 0, fmt.Errorf("the server saw the end of the file before offset %d, and the file is longer: %w", srcOff+n, io.ErrUnexpectedEOF)
	}
	return there, nil
}

// spreadTo says whether both files are open on ch, and has them opened there in the background.
func spreadTo(ch *channel, src, dst *File) bool {
	from, to := src.spread(ch, reading), dst.spread(ch, writing)
	return from && to
}

// bothOn gives handles of both files on ch, with a reference each.
func bothOn(ctx context.Context, src, dst *File, ch *channel) (from, to *handle, err error) {
	if from, err = src.on(ctx, ch, reading); err != nil {
		return nil, nil, err
	}
	if to, err = dst.on(ctx, ch, writing); err != nil {
		src.drop(from)
		return nil, nil, err
	}
	return from, to, nil
}

// on gives a handle of the file on ch that is good for dir, with a reference that drop gives back; errStripe where it can't be had.
func (f *File) on(ctx context.Context, ch *channel, dir int) (*handle, error) {
	// A handle must be open somewhere: after a reconnect the file is found again first.
	found, err := f.use(ctx, f.main(), forSmall)
	if err != nil {
		return nil, err
	}
	defer f.drop(found)
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		h := f.handles[ch]
		if !h.fits(dir) {
			if ch.over() {
				return nil, &session.LostError{Err: errLinkOver}
			}
			h = f.stripe(ch, dir)
		}
		f.mu.Unlock()
		select {
		case <-h.done:
		case <-ctx.Done():
		}
		f.mu.Lock()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := f.over(); err != nil {
			return nil, err
		}
		if h.err != nil {
			return nil, h.err
		}
		if !h.retired {
			h.refs++
			return h, nil
		}
	}
}
