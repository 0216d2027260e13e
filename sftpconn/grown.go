package sftpconn

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sshmount/sftpconn/session"
)

// grownLooks is how often a file is compared with what has its name, where it changes meanwhile.
const grownLooks = 3

// ReadGrown is ReadAt at off, where the server has seen the end of a file that is known to be longer. Some servers (ProFTPD) see it where
// the file ended when the handle was opened, however long it has become since: it is opened once more then, for reading. io.EOF
// comes where it does end there; where that can't be told, the error says so.
func (f *File) ReadGrown(ctx context.Context, dst []byte, off int64) (int, error) {
	if off < f.size {
		return 0, io.EOF // the size that the server told was never true, as with the files of /sys
	}
	select {
	case f.renewing <- struct{}{}:
		defer func() { <-f.renewing }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if r := f.renewed.Load(); r != nil {
		if n, err := r.ReadAt(ctx, dst, off); !errors.Is(err, io.EOF) {
			return n, err
		}
	}
	now, err := f.Stat(ctx)
	if err != nil {
		return 0, err
	}
	if now.Size <= uint64(off) {
		return 0, io.EOF
	}
	r, err := f.openGrown(ctx, now)
	if err != nil {
		return 0, f.wrap(fmt.Errorf("the server sees the end of the file at offset %d, and the file is longer: %w (%w)", off, io.ErrUnexpectedEOF, err), "read")
	}
	if !f.renew(r) {
		return 0, ErrClosed
	}
	return r.ReadAt(ctx, dst, off)
}

// openGrown opens by its name the file that looks as now through the handles that are open.
func (f *File) openGrown(ctx context.Context, now Attr) (*File, error) {
	path := f.r.Path()
	if path == "" {
		return nil, errors.New("it was removed, and can't be opened again")
	}
	r, _, err := f.c.Open(ctx, OpenRequest{Path: f.r.Path, Pflags: session.OpenRead, Check: f.r.Check, Follow: f.r.Follow})
	if err != nil {
		return nil, err
	}
	for range grownLooks {
		found, err := r.Stat(ctx)
		if err == nil && !sameFile(now, found) {
			now, err = f.Stat(ctx)
		}
		switch {
		case err != nil:
			r.Close()
			return nil, err
		case sameFile(now, found) && f.r.Path() == path:
			return r, nil
		}
	}
	r.Close()
	return nil, errDiffers
}

// renew has r read what is behind the end that the file had when it was opened; false where the file is closed, and r too then.
func (f *File) renew(r *File) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		r.Close()
		return false
	}
	if old := f.renewed.Swap(r); old != nil {
		old.Close()
	}
	return true
}

// readRenewed reads through what ReadGrown has opened, where off is behind the end that the file had before; ok is false where there is
// no such file.
func (f *File) readRenewed(ctx context.Context, dst []byte, off int64) (n int, err error, ok bool) {
	for off+int64(len(dst)) > f.size {
		r := f.renewed.Load()
		if r == nil {
			break
		}
		n, err = r.ReadAt(ctx, dst, off)
		if !errors.Is(err, ErrClosed) || f.renewed.Load() == r {
			return n, err, true
		}
	}
	return 0, nil, false
}
