package session

import (
	"context"
	"fmt"
	"log/slog"

	"sshmount/sftpconn/transport"
)

// Flags of Attr: which of its fields are set.
const (
	HasSize  = 1 << iota // Size
	HasOwner             // UID and GID
	HasMode              // Mode
	HasTimes             // Atime and Mtime
)

// Attr holds the attributes of SFTP v3 (draft-02 section 5), as an answer or
// as a wish: only fields named by Flags mean anything.
type Attr struct {
	Flags        uint32
	Mode         uint32 // type and permission bits, as in stat(2)
	Size         uint64
	UID, GID     uint32
	Atime, Mtime uint32 // seconds since 1970
}

// Entry is one name of a listing with its attributes.
type Entry struct {
	Name string
	Attr Attr
}

// StatVFS is the answer to statvfs@openssh.com.
type StatVFS struct {
	Bsize, Frsize, Blocks, Bfree, Bavail, Files, Ffree, Favail, Fsid, Flag, Namemax uint64
}

// Limits is the answer to limits@openssh.com, with the defaults of servers that
// have none (34,000 bytes a packet, 32,768 a READ or WRITE). MaxHandles 0 means not known.
type Limits struct{ MaxPacket, MaxRead, MaxWrite, MaxHandles uint64 }

// Status codes, SFTP v3 to v6.
const (
	StatusOK               = 0
	StatusEOF              = 1
	StatusNoSuchFile       = 2
	StatusPermissionDenied = 3
	StatusFailure          = 4
	StatusBadMessage       = 5
	StatusNoConnection     = 6
	StatusConnectionLost   = 7
	StatusOpUnsupported    = 8
)

// StatusError is a refusal by the server.
type StatusError struct {
	Code uint32
	Msg  string
}

func (e *StatusError) Error() string { return fmt.Sprintf("server says %q (status %d)", e.Msg, e.Code) }

// LostError ends every call of a session that is over.
// Sent says whether the server may have seen the request.
type LostError struct {
	Sent bool
	Err  error
}

func (e *LostError) Error() string { return "session lost: " + e.Err.Error() }
func (e *LostError) Unwrap() error { return e.Err }

// Open flags (draft-02 section 6.3).
const (
	OpenRead   = 0x01
	OpenWrite  = 0x02
	OpenAppend = 0x04
	OpenCreate = 0x08
	OpenTrunc  = 0x10
	OpenExcl   = 0x20
)

// Options of a session.
type Options struct {
	Logger *slog.Logger
}

// Session is one SFTP session. Its methods may be called from several goroutines.
type Session struct{}

// Open exchanges INIT and VERSION on ch, and asks for the limits. It owns ch from then on, also when it fails.
// A server that talks something else before SFTP gives an error that quotes it.
func Open(ctx context.Context, ch transport.Channel, o Options) (*Session, error) { panic("not built") }

// Close ends the session and its channel; calls in flight fail with LostError. It never blocks on the peer.
func (s *Session) Close() error { panic("not built") }

// Done is closed when the session is over; Err then says why.
func (s *Session) Done() <-chan struct{} { panic("not built") }
func (s *Session) Err() error            { panic("not built") }

// Has says whether the server announced an extension, by its full name ("fsync@openssh.com").
func (s *Session) Has(extension string) bool { panic("not built") }
func (s *Session) Limits() Limits            { panic("not built") }

// InFlight is the number of requests sent or queued and not answered.
func (s *Session) InFlight() int { panic("not built") }

func (s *Session) OpenFile(path string, pflags uint32, a Attr) *Call { panic("not built") }
func (s *Session) CloseHandle(handle string) *Call                   { panic("not built") }

// Read asks for len(dst) bytes. The call owns dst until Done is closed; the payload is read straight into it.
// The end of the file is io.EOF with N() == 0.
func (s *Session) Read(handle string, off uint64, dst []byte) *Call { panic("not built") }

// Write sends data, which belongs to the call until Done is closed.
func (s *Session) Write(handle string, off uint64, data []byte) *Call { panic("not built") }
func (s *Session) Lstat(path string) *Call                            { panic("not built") }
func (s *Session) Stat(path string) *Call                             { panic("not built") }
func (s *Session) Fstat(handle string) *Call                          { panic("not built") }
func (s *Session) Setstat(path string, a Attr) *Call                  { panic("not built") }
func (s *Session) Fsetstat(handle string, a Attr) *Call               { panic("not built") }

// Lsetstat is lsetstat@openssh.com: like Setstat, not following a link.
func (s *Session) Lsetstat(path string, a Attr) *Call { panic("not built") }
func (s *Session) Opendir(path string) *Call          { panic("not built") }

// Readdir's end is io.EOF. Names come as the server sent them: checking them is the caller's.
func (s *Session) Readdir(handle string) *Call               { panic("not built") }
func (s *Session) Remove(path string) *Call                  { panic("not built") }
func (s *Session) Mkdir(path string, a Attr) *Call           { panic("not built") }
func (s *Session) Rmdir(path string) *Call                   { panic("not built") }
func (s *Session) Realpath(path string) *Call                { panic("not built") } // Name()
func (s *Session) Readlink(path string) *Call                { panic("not built") } // Name()
func (s *Session) Symlink(target, linkpath string) *Call     { panic("not built") } // in OpenSSH's order of arguments
func (s *Session) Rename(oldpath, newpath string) *Call      { panic("not built") } // plain v3: refused where newpath exists
func (s *Session) PosixRename(oldpath, newpath string) *Call { panic("not built") }
func (s *Session) Hardlink(oldpath, newpath string) *Call    { panic("not built") }
func (s *Session) Statvfs(path string) *Call                 { panic("not built") }
func (s *Session) Fstatvfs(handle string) *Call              { panic("not built") }
func (s *Session) Fsync(handle string) *Call                 { panic("not built") }

// CopyData is copy-data: n == 0 copies to the end of the source.
func (s *Session) CopyData(src string, srcOff, n uint64, dst string, dstOff uint64) *Call {
	panic("not built")
}

// UserGroupNames is users-groups-by-id@openssh.com; unknown ids give "".
func (s *Session) UserGroupNames(uids, gids []uint32) *Call { panic("not built") }
func (s *Session) ExpandPath(path string) *Call             { panic("not built") } // expand-path@openssh.com; Name()
func (s *Session) HomeDirectory(user string) *Call          { panic("not built") } // home-directory; Name()

// Call is one request in flight.
type Call struct{}

// Done is closed when the reply is there or the session is lost.
func (c *Call) Done() <-chan struct{} { panic("not built") }

// Wait returns the call's error: nil, io.EOF, *StatusError, *LostError, or a fault of the reply.
// When ctx ends first it returns context.Cause(ctx), and the call goes on (its buffers stay in use until Done).
func (c *Call) Wait(ctx context.Context) error { panic("not built") }

// The results, valid once Done is closed and the error is nil.
func (c *Call) Handle() string                  { panic("not built") }
func (c *Call) N() int                          { panic("not built") }
func (c *Call) Attr() Attr                      { panic("not built") }
func (c *Call) Entries() []Entry                { panic("not built") }
func (c *Call) Name() string                    { panic("not built") }
func (c *Call) StatVFS() StatVFS                { panic("not built") }
func (c *Call) Names() (users, groups []string) { panic("not built") }
