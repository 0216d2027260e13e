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
// # The way of a read
//
// Handle.read finds the parts of what is asked for in those lists (collect), and makes a span for each
// gap (ask), and for what should be read ahead of the stream that the read belongs to (stream.go). Each
// new span has a goroutine that reads it from the backend (fetch); they go out in the order in which
// they were made (sftpconn.Turn). The reader waits for those of its own parts, and gets slices of all
// parts (assemble). Read behind the known end, or of a short file, goes to the server and is not kept
// (readBehind).
//
// # The way of a write
//
// Handle.write puts the bytes into a pending extent: one that is there (inPlace), or a new one, once the
// budget has room for it (reserve, put). An extent becomes due when it is as large as a request may be,
// when nothing more was written for a while (startIdle), or when somebody waits for it: a flush, or a
// writer for whom the budget has no room. What is due, and neighbours with it, is sent as one request
// (pump, launch), by a goroutine that repeats it for as long as only the line is to blame (deliver,
// insist). What is acknowledged becomes clean, or is given back; what can't be delivered goes to
// Options.Lost and is an error of all open handles (landed). A flush waits until the epoch in which it
// was called, and those before, are over (flushed, epoch.go).
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
// it, is called with it held; the methods of Pool that end in Locked are called with
// Pool.mu held. Those that wait for the server or call a function of Options (fetch,
// send, sendTimes, deliver, insist, timesRefused) are called with no lock.
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
