package filedata

import "context"

// SlowIdle is for the tests over a real server.
var SlowIdle = slowIdle

// Truncate makes the size n, which send asks the server for.
func (f *File) Truncate(ctx context.Context, n int64, send func(context.Context) error) error {
	if err := f.Bar(ctx); err != nil {
		return err
	}
	defer f.Unbar()
	err := send(ctx)
	f.Truncated(n, err == nil)
	return err
}
