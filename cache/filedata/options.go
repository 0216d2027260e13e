package filedata

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sshmount/sftpconn"
)

// ErrClosed ends what is still unacknowledged, or asked for, when the pool closes.
var ErrClosed = errors.New("the mount is closing")

// Backend is one open remote file, with the contract of *sftpconn.File.
type Backend interface {
	MaxRead() int
	MaxWrite() int
	RTT() time.Duration // of the line, the smallest of late; 0 where not known
	ReadAt(ctx context.Context, dst []byte, off int64) (int, error)
	// ReadGrown is ReadAt where that has given io.EOF, and the file is known to be longer.
	ReadGrown(ctx context.Context, dst []byte, off int64) (int, error)
	WriteAt(ctx context.Context, p []byte, off int64) error
	WriteSetstat(ctx context.Context, p []byte, off int64, a sftpconn.Attr) error
	Setstat(ctx context.Context, a sftpconn.Attr) error
	Fsync(ctx context.Context) error
	FsyncBehind(ctx context.Context, until <-chan struct{}, asked int64) (stored func() bool, err error)
	StatBehind(ctx context.Context, until <-chan struct{}, asked int64) (told func() (sftpconn.Attr, bool))
}

var _ Backend = (*sftpconn.File)(nil)

// Options of a pool. The zero value of a field means its default.
type Options struct {
	ReadBudget  int64 // bytes of clean blocks, read and read ahead, of all files; default 64 MiB
	WriteBudget int64 // unacknowledged bytes of all files; default 64 MiB. A writer over it waits.
	SyncWrites  bool  // each Write returns when the server has acknowledged it (sshfs_sync)
	NoReadAhead bool  // only what is asked for is read (sync_read)

	// Lost gets the bytes that can't be delivered, before the error is reported to anybody. It may block on a local disk.
	// data belongs to the callee until it returns.
	Lost func(tag any, off int64, data []byte, err error)
	// Refused is for bytes that can't be delivered and are not lost: the program that wrote them waits, and is told by its Write (SyncWrites).
	Refused func(tag any)
	// TimesRefused gets the times of File.SetTimes that can't be set, before the error is reported to anybody.
	TimesRefused func(tag any, times sftpconn.Attr, err error)
	Logger       *slog.Logger
}

const defaultBudget = 64 << 20
