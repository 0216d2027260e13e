// Package filedata holds the bytes of remote files on this side: blocks read
// ahead and bytes written and not yet acknowledged, within one budget each for
// all files of a mount. It knows nothing of names and of the kernel.
//
// # What a file is made of
//
// Three sorted lists of ranges lie over each other, and a read sees the first
// that has a byte:
//
//   - pending: extents that a program wrote and that have not been sent,
//   - flying: extents in flight to the server,
//   - clean: spans that were read from the server, or are being read; handles
//     from before a change on the server have theirs apart.
//
// Ranges of one list never overlap. Clean spans never overlap the other two:
// a write cuts them, so that what the server said before the write can't come
// back after it. A pending extent that overlaps a flying one waits for its
// answer, so two requests for one byte are never in flight together, and the
// newer one reaches the server last.
//
// Nothing is kept of a file that was seen to end before the size that the server
// tells (File.Short), as those of sysfs do: its content changes without a sign.
//
// # Memory
//
// All bytes live in counted, pooled buffers; a read hands out slices of them
// and the last to let go returns them. Buffers never change under a reader: a
// write goes into an extent's buffer only where nobody else holds it.
//
// # Locks
//
// File.mu comes before Pool.mu; latency.mu is a leaf. No two files' locks are held
// together, and no lock is held while the server, a program or a function of
// Options is waited for.
//
// A method that is not exported, and that touches what File.mu guards without taking
// it, is called with it held. Those that wait for the server or call a function of
// Options (fetch, send, sendTimes, deliver, insist, timesRefused) are called with no lock.
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
	// TimesRefused gets the times of File.SetTimes that can't be set, before the error is reported to anybody.
	TimesRefused func(tag any, times sftpconn.Attr, err error)
	Logger       *slog.Logger
}

const defaultBudget = 64 << 20
