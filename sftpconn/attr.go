package sftpconn

import (
	"context"

	"sshmount/sftpconn/session"
)

// Setstat sets attributes through a handle.
func (f *File) Setstat(ctx context.Context, a Attr) error {
	if a.Flags&session.HasSize != 0 {
		f.extend(int64(a.Size))
		f.Shorten(a.Size)
		if err := f.c.afterClosing(ctx, f.r.Path()); err != nil {
			return f.wrap(err, "fsetstat")
		}
	}
	_, err := f.ask(ctx, "fsetstat", forSmall, func(h *handle) *session.Call {
		return f.c.setBits(f, f.r.Path(), a, func() *session.Call { return h.ch.s.Fsetstat(h.id, a) })
	})
	return err
}

// Stat gives the attributes of the file, whatever has its name by now.
func (f *File) Stat(ctx context.Context) (Attr, error) {
	call, err := f.ask(ctx, "fstat", forSmall, func(h *handle) *session.Call { return h.ch.s.Fstat(h.id) })
	if err != nil {
		return Attr{}, err
	}
	return call.Attr(), nil
}
