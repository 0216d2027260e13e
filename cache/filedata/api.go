// Package filedata holds the bytes of remote files on this side: blocks read
// ahead and bytes written and not yet acknowledged, within one budget each for
// all files of a mount. It knows nothing of names and of the kernel.
package filedata

import (
	"context"
	"log/slog"
	"time"

	"sshmount/sftpconn"
)

// Backend is one open remote file, with the contract of *sftpconn.File.
type Backend interface {
	MaxRead() int
	MaxWrite() int
	ReadAt(ctx context.Context, dst []byte, off int64) (int, error)
	WriteAt(ctx context.Context, p []byte, off int64) error
	WriteSetstat(ctx context.Context, p []byte, off int64, a sftpconn.Attr) error
	Setstat(ctx context.Context, a sftpconn.Attr) error
	Fsync(ctx context.Context) error
}

// Options of a pool. The zero value of a field means its default.
type Options struct {
	ReadBudget  int64 // bytes of clean blocks, read and read ahead, of all files; default 64 MiB
	WriteBudget int64 // unacknowledged bytes of all files; default 64 MiB. A writer over it waits.
	SyncWrites  bool  // each Write returns when the server has acknowledged it (sshfs_sync)
	NoReadAhead bool  // only what is asked for is read (sync_read)

	// Lost gets the bytes that can't be delivered, before the error is reported to anybody. It may block on a local disk.
	Lost   func(tag any, off int64, data []byte, err error)
	Logger *slog.Logger
}

// Pool is the budgets, and the goroutines, of all files of a mount.
type Pool struct{}

func NewPool(o Options) *Pool { panic("not built") }

// Close ends all background work without waiting for the server. Unacknowledged bytes go to Options.Lost with ErrClosed.
func (p *Pool) Close() { panic("not built") }

// Stats of the pool, in bytes and files.
type Stats struct {
	Clean, Dirty int64
	DirtyFiles   int
	OldestDirty  time.Time // zero where nothing is unacknowledged
}

func (p *Pool) Stats() Stats { panic("not built") }

// Drain waits until nothing of any file is unacknowledged.
func (p *Pool) Drain(ctx context.Context) error { panic("not built") }

// File is the content of one remote file, shared by all its open handles.
type File struct{}

// NewFile: tag comes back in Options.Lost.
func (p *Pool) NewFile(tag any, remoteSize int64) *File { panic("not built") }

// SetRemoteSize tells what the server said of the file's size. It is what Size answers while nothing is unacknowledged.
// A smaller size drops the blocks behind it.
func (f *File) SetRemoteSize(n int64) { panic("not built") }

// Size is the size that programs see: ours where bytes are unacknowledged (dirty), else the server's.
func (f *File) Size() (size int64, dirty bool) { panic("not built") }

// LastWrite is when a program last wrote; zero if never.
func (f *File) LastWrite() time.Time { panic("not built") }

// Drop forgets clean blocks: the file has changed on the server, or nobody wants them. Bytes on their way in for an
// earlier Read are not kept either. Unacknowledged bytes stay.
func (f *File) Drop() { panic("not built") }

// Preload makes data, read ahead by somebody else, the whole content of a clean file.
func (f *File) Preload(data []byte) { panic("not built") }

// SetTimes sends times after the bytes that are unacknowledged now, in the same flight as the last of them where that can be.
// False: nothing is unacknowledged, nothing was done, send them yourself. A program's later write discards them no more than
// the server would: writes that follow change the mtime again. a has HasTimes.
func (f *File) SetTimes(a sftpconn.Attr) bool { panic("not built") }

// Truncate makes the size n: unacknowledged bytes behind it are dropped, requests on their way are waited for, and
// send is called (one SETSTAT) while new writes wait. Blocks are cut or grow by zeros. When send fails nothing has changed
// but that bytes dropped stay dropped.
func (f *File) Truncate(ctx context.Context, n int64, send func(context.Context) error) error {
	panic("not built")
}

// Drain waits until nothing of this file is unacknowledged.
func (f *File) Drain(ctx context.Context) error { panic("not built") }

// Release gives the file's memory back. The file has no handles and nothing unacknowledged then.
func (f *File) Release() { panic("not built") }

// Handle is one opening of a file: its pattern of reading, and the write errors it has still to report.
type Handle struct{}

// Open: b is used for what this handle reads and writes. It must stay open until Close and Drain have returned.
func (f *File) Open(b Backend) *Handle { panic("not built") }

// View is what a read gives: Vecs stay valid until Release.
type View struct {
	Vecs    [][]byte
	N       int
	release func()
}

func (v *View) Release() { panic("not built") }

// Read returns up to n bytes at off; fewer only at the end of the file. Reading at or behind what is known to be the end asks the server.
// It sees every byte written before, acknowledged or not.
func (h *Handle) Read(ctx context.Context, off int64, n int) (View, error) { panic("not built") }

// Write takes a copy of p. It waits only for the budget (and for the answer, with SyncWrites).
func (h *Handle) Write(ctx context.Context, p []byte, off int64) error { panic("not built") }

// Append writes p at the end of the file, wherever that is, and says where it was.
func (h *Handle) Append(ctx context.Context, p []byte) (off int64, err error) { panic("not built") }

// Flush waits until the server has acknowledged all bytes of the file, and returns the first write error of the
// file since this handle was opened that it has not reported for good. With settle the report is for good (fsync); without,
// the next Flush reports it again (close: a child's close of an inherited descriptor must not use it up).
// ctx ending (ErrUnreachable as its cause too) returns early; the bytes are kept and go on being delivered.
func (h *Handle) Flush(ctx context.Context, settle bool) error { panic("not built") }

// Sync is Flush with settle, and fsync on the server.
func (h *Handle) Sync(ctx context.Context) error { panic("not built") }

// Close ends the handle. Bytes it wrote may still be unacknowledged: see File.Drain.
func (h *Handle) Close() { panic("not built") }
