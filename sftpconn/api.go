// Package sftpconn is one remote side that is always there: it keeps a
// connection to an SFTP server, spreads requests over channels, and makes a new
// connection when one is lost, so that its callers see answers and not lines.
package sftpconn

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/transport"
)

type (
	Attr    = session.Attr
	Entry   = session.Entry
	StatVFS = session.StatVFS
)

// ErrUnreachable: no connection for longer than ReconnectTimeout, or none wanted (Reconnect off).
var ErrUnreachable = errors.New("server cannot be reached")

// ErrStale: the file behind a handle could not be found again after a reconnect, or is another one, or has changed.
var ErrStale = errors.New("file changed or went away while the connection was lost")

// ErrUnsupported: the server lacks what the request needs.
var ErrUnsupported = errors.New("not supported by the server")

// ErrUncertain: the line broke between request and answer, and looking afterwards can't tell whether it was done.
var ErrUncertain = errors.New("the connection was lost before the answer, and what happened cannot be told")

// Options of a connection. The zero value of a field means its default.
type Options struct {
	Dial             transport.Dialer
	MaxConns         int // whole connections for bulk data, 1..16; default 1
	MaxChannels      int // channels for bulk data of each connection, 1..; default 8
	NoReconnect      bool
	ReconnectTimeout time.Duration // default 2 min; negative: for ever
	AliveInterval    time.Duration // default 5 s
	AliveCountMax    int           // default 3
	Logger           *slog.Logger
}

// Conn is the remote side. Its methods may be called from several goroutines.
// Each waits for a connection where there is none, until ctx ends (its cause is
// returned), ReconnectTimeout passes (ErrUnreachable), or, in a context made by
// Patient, for as long as it takes. Errors wrap *session.StatusError where the server refused.
type Conn struct{}

// New logs in for the first time; its error is the user's to read.
func New(ctx context.Context, o Options) (*Conn, error) { panic("not built") }

// Close ends the connection and every goroutine of it; waiting calls fail.
func (c *Conn) Close() error { panic("not built") }

// Patient makes a context whose requests wait for the line without a limit of time.
func Patient(ctx context.Context) context.Context { panic("not built") }

// Bounded makes a context that ends, with cause ErrUnreachable, when the line has been down for ReconnectTimeout.
func (c *Conn) Bounded(ctx context.Context) (context.Context, context.CancelFunc) { panic("not built") }

func (c *Conn) Status() Status { panic("not built") }

// Kick tries to connect at once where the line is down, and probes it where it is up
// (a network change, a wake-up, the user's wish).
func (c *Conn) Kick() { panic("not built") }

// Has says whether the server has an extension (of the newest connection).
func (c *Conn) Has(extension string) bool { panic("not built") }

// Idle says whether the line has room now for requests that nobody waits for.
func (c *Conn) Idle() bool { panic("not built") }

func (c *Conn) Lstat(ctx context.Context, path string) (Attr, error)      { panic("not built") }
func (c *Conn) Stat(ctx context.Context, path string) (Attr, error)       { panic("not built") }
func (c *Conn) Realpath(ctx context.Context, path string) (string, error) { panic("not built") }

// Expand is expand-path@openssh.com ("~user/x"); ErrUnsupported where the server lacks it.
func (c *Conn) Expand(ctx context.Context, path string) (string, error)   { panic("not built") }
func (c *Conn) Readlink(ctx context.Context, path string) (string, error) { panic("not built") }

// Readlinks asks for all in one flight; the error of each stands beside it.
func (c *Conn) Readlinks(ctx context.Context, paths []string) ([]string, []error) { panic("not built") }
func (c *Conn) Statvfs(ctx context.Context, path string) (StatVFS, error)         { panic("not built") }

// Setstat sets attributes by path; with nofollow it never follows a link at path
// (ErrUnsupported where the server has no lsetstat@openssh.com and path may be a link).
func (c *Conn) Setstat(ctx context.Context, path string, a Attr, nofollow bool) error {
	panic("not built")
}

// Mkdir makes a directory with exactly these permission bits, whatever the server's umask (MKDIR and SETSTAT in one flight).
// After a lost line 'exists' and a directory there counts as made.
func (c *Conn) Mkdir(ctx context.Context, path string, perm uint32) error { panic("not built") }
func (c *Conn) Rmdir(ctx context.Context, path string) error              { panic("not built") }
func (c *Conn) Remove(ctx context.Context, path string) error             { panic("not built") }
func (c *Conn) Symlink(ctx context.Context, target, path string) error    { panic("not built") }
func (c *Conn) Link(ctx context.Context, oldpath, newpath string) error   { panic("not built") }

// Rename replaces newpath (posix-rename@openssh.com where there is; else RENAME, and where
// that is refused because newpath exists, by way of a temporary name). With noReplace it is the plain RENAME, which refuses.
func (c *Conn) Rename(ctx context.Context, oldpath, newpath string, noReplace bool) error {
	panic("not built")
}

// List reads a directory: OPENDIR, then READDIRs pipelined in a window of 2 growing to 32; CLOSE isn't waited for.
// yield gets the names of one answer at a time, in order; the slice is the callee's to keep. "." and ".." are
// left out, and names no server may send ("" or with '/' or NUL) are dropped and logged. An error of yield ends the listing.
// A listing that the line interrupts starts again: yield is then called with restart true first.
func (c *Conn) List(ctx context.Context, path string, yield func(names []Entry, restart bool) error) error {
	panic("not built")
}

// UserGroupNames is users-groups-by-id@openssh.com.
func (c *Conn) UserGroupNames(ctx context.Context, uids, gids []uint32) (users, groups []string, err error) {
	panic("not built")
}

// OpenRequest describes the opening of a remote file.
type OpenRequest struct {
	// Path gives the file's path on the server, now and at each reopening after a reconnect (a rename changes it).
	// "" means that it has no name any more: it can't be reopened.
	Path   func() string
	Pflags uint32 // session.OpenRead…; for a reopening CREATE, TRUNC and EXCL are taken out
	// Perm are the permission bits for CREATE; they are set exactly, whatever the server's umask (SETSTAT in the same flight).
	Perm uint32
	// SetPerm says that Perm is to be set in the same flight although the file may have existed (only sensible with EXCL).
	SetPerm bool
	// Check looks at the attributes found at a reopening, before the new handle is used; its error (ErrStale) ends the file. May be nil.
	Check func(Attr) error
	// Ahead marks an open that nobody waits for: it uses only what the line has spare.
	Ahead bool
	// NoStat leaves the LSTAT out.
	NoStat bool
}

// Open opens a file: OPEN, LSTAT (of the path) and, where asked, SETSTAT in one flight on the channel of names.
// The attributes are those of LSTAT, after the opening.
func (c *Conn) Open(ctx context.Context, r OpenRequest) (*File, Attr, error) { panic("not built") }

// ReadSmall opens, reads up to max bytes and closes, in two flights at most, without a File: the content and the attributes
// (LSTAT before the read). Files that are no regular files, or are longer than max, give an error. It yields to whatever a program waits for.
func (c *Conn) ReadSmall(ctx context.Context, path string, size int, max int) ([]byte, Attr, error) {
	panic("not built")
}

// CopyData copies on the server (copy-data); ErrUnsupported where it can't.
func (c *Conn) CopyData(ctx context.Context, src *File, srcOff, n int64, dst *File, dstOff int64) error {
	panic("not built")
}

// File is an open remote file that outlives its connection. It holds a handle for each channel that it has used.
// Methods may be called from several goroutines; reads and writes are spread over the channels.
type File struct{}

// MaxRead and MaxWrite are the largest useful pieces, in bytes.
func (f *File) MaxRead() int  { panic("not built") }
func (f *File) MaxWrite() int { panic("not built") }

// ReadAt reads up to len(dst) ≤ MaxRead bytes with one request. n < len(dst) with a nil error is a short read: ask again.
// io.EOF comes only when the server said so at this offset. dst is free again when it returns, also on ctx's end.
func (f *File) ReadAt(ctx context.Context, dst []byte, off int64) (int, error) { panic("not built") }

// WriteAt writes all of p, acknowledged by the server, or fails. p is free again when it returns.
func (f *File) WriteAt(ctx context.Context, p []byte, off int64) error { panic("not built") }

// WriteSetstat is WriteAt and then Setstat, pipelined on one channel where the server is known to keep the order. len(p) ≤ MaxWrite.
func (f *File) WriteSetstat(ctx context.Context, p []byte, off int64, a Attr) error {
	panic("not built")
}
func (f *File) Setstat(ctx context.Context, a Attr) error { panic("not built") }
func (f *File) Stat(ctx context.Context) (Attr, error)    { panic("not built") }

// Fsync is fsync@openssh.com; nil where the server lacks it.
func (f *File) Fsync(ctx context.Context) error { panic("not built") }

// Close gives the handles back; it does not wait for the server.
func (f *File) Close() { panic("not built") }

// Status is what `sshmount status` tells of the line.
type Status struct {
	Connected    bool
	Since        time.Time // of the state that Connected says
	LastError    string    // why not connected, or why the last connection ended
	NextTry      time.Time // zero where none is planned
	GaveUp       bool      // ReconnectTimeout has passed
	Reconnects   int
	Info         transport.Info
	Connections  int
	Channels     int
	RTT          time.Duration // smallest of late
	ReadRate     float64       // bytes/s, of late
	WriteRate    float64
	BytesRead    uint64
	BytesWritten uint64
	Requests     uint64
	InFlight     int
	Oldest       time.Duration // age of the oldest unanswered request; 0 where none
	Waiting      int           // callers that wait for a connection
}
