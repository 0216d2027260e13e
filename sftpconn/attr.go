package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// Setstat sets attributes through a handle.
func (f *File) Setstat(ctx context.Context, a Attr) error {
	if a.Flags&session.HasSize != 0 {
		_, _, err := f.Truncate(ctx, a)
		return err
	}
	_, err := f.ask(ctx, "fsetstat", forSmall, func(h *handle) *session.Call { return f.sendSetstat(h, a) })
	return err
}

// Truncate is Setstat for a wish with a size, and asks in the same flight what the file is after it: a program that has cut a file often looks
// at it at once. told is false where there is no answer that is surely of after the cut: it needs a server that answers in order.
func (f *File) Truncate(ctx context.Context, a Attr) (after Attr, told bool, err error) {
	f.extend(int64(a.Size))
	f.Shorten(a.Size)
	if err := f.c.afterClosing(ctx, f.r.Path()); err != nil {
		return Attr{}, false, f.wrap(err, "fsetstat")
	}
	var look *session.Call // behind the last FSETSTAT that was sent
	var on *channel
	_, err = f.ask(ctx, "fsetstat", forSmall, func(h *handle) *session.Call {
		set := f.sendSetstat(h, a)
		if look, on = nil, h.ch; ordered(on.s) && !f.c.owesBeside(f, on) {
			look = on.s.Fstat(h.id)
		}
		return set
	})
	switch {
	case look == nil:
		return Attr{}, false, err
	case err != nil:
		look.Abandon()
		return Attr{}, false, err
	case on.wait(ctx, look) != nil:
		return Attr{}, false, nil
	}
	return look.Attr(), true, nil
}

// sendSetstat sends a wish for attributes through an open handle.
func (f *File) sendSetstat(h *handle, a Attr) *session.Call {
	return f.c.setBits(f, f.r.Path(), a, func() *session.Call { return h.ch.s.Fsetstat(h.id, a) })
}

// Stat gives the attributes of the file, whatever has its name by now.
func (f *File) Stat(ctx context.Context) (Attr, error) {
	call, err := f.ask(ctx, "fstat", forSmall, func(h *handle) *session.Call { return h.ch.s.Fstat(h.id) })
	if err != nil {
		return Attr{}, err
	}
	return call.Attr(), nil
}
