package session

import (
	"context"
	"time"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// answer is the kind of reply that a request expects. STATUS may always come instead.
type answer uint8

const (
	answerStatus  answer = iota // STATUS alone
	answerHandle                // HANDLE
	answerData                  // DATA
	answerAttrs                 // ATTRS
	answerEntries               // NAME with any number of names
	answerName                  // NAME with one name
	answerStatVFS               // EXTENDED_REPLY of statvfs@openssh.com
	answerLimits                // EXTENDED_REPLY of limits@openssh.com
	answerNames                 // EXTENDED_REPLY of users-groups-by-id@openssh.com
)

// Which goroutines touch the buffer of a call at the moment.
const (
	heldByReader = 1 << iota
	heldByWriter
)

// Call is one request in flight.
type Call struct {
	s    *Session
	want answer
	done chan struct{} // closed by Session.end or release, when the call has ended and neither goroutine holds its buffer

	// Guarded by Session.mu until done is closed.
	id      uint32
	frame   *sshfx.Buffer // the request, but for its payload; the writer's from the queue on, nil once it has copied it
	payload []byte        // of WRITE; nil once given up
	dst     []byte        // of READ; nil once given up
	asked   int           // bytes a READ asks for
	slow    bool          // the server may rightly take minutes; not changed after start
	sent    bool          // the writer has begun to send it
	givenUp bool          // nobody waits for it
	ended   bool          // err is final
	held    uint8         // who touches the buffer: heldByReader, heldByWriter
	sentAt  time.Time
	err     error

	closes      string // of CLOSE: the handle; not changed after start
	unread      bool   // of CLOSE: the handle is of a directory that was not read to its end; not changed after start
	peeks       string // of READDIR with a handle that is only foreseen: that handle; not changed after start
	lists       bool   // of OPENDIR: it was made by OpendirAndRead; not changed after start
	began       uint64 // of OPEN and OPENDIR: number of these that were started in the session so far, this one included
	untouched   bool   // of OPENDIR: see Untouched
	foreseen    string // of OPEN and OPENDIR: see Foreseen; not changed after start
	takenBefore uint64 // of OPEN and OPENDIR: number of handles that the server gives out before, as expected at start
	asForeseen  bool   // of OPEN and OPENDIR: see AsForeseen

	// Set by the reader before done is closed, not changed after.
	n       int
	text    string
	attr    Attr
	entries []Entry
	other   any // *StatVFS, *Limits or *idNames
	rtt     time.Duration
}

// idNames is the answer to users-groups-by-id@openssh.com.
type idNames struct{ users, groups []string }

// Done is closed when the reply is there or the session is lost.
func (c *Call) Done() <-chan struct{} { return c.done }

// Wait returns the call's error: nil, io.EOF (READ and READDIR only), *StatusError,
// *LostError, ErrNoProgress, or another fault of the request or its reply.
// When ctx ends first it returns context.Cause(ctx), and the call goes on (its
// buffers stay in use until Done). A reply that is there wins over a ctx that has ended.
func (c *Call) Wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	default:
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Abandon gives up a call whose result nobody wants any more. A request that
// was not sent yet is never sent, and ends with ErrAbandoned. The answer to one
// that was sent is thrown away.
//
// It returns true when the call's buffer is free at once. It returns false when
// the buffer is just being filled or sent: then it is free when Done is closed.
func (c *Call) Abandon() bool {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.held != 0 {
		return false
	}
	c.dst = nil
	if !c.sent {
		c.payload = nil // else it is the writer's to look at
	}
	c.givenUp = true
	if !c.ended && !c.sent {
		delete(s.pending, c.id)
		s.end(c, ErrAbandoned)
	}
	return true
}

// The results are valid once Done is closed, if the error is nil.

// Handle is the answer of OpenFile and OpendirAndRead, good in this session only.
func (c *Call) Handle() string { return c.text }

// Foreseen is the handle that an OPEN will most likely get; "" where that can't be told. It is known before the answer, so that
// READs with it can be sent in the same flight. If AsForeseen is true in the end, what they bring is of this file; else it means nothing,
// as it may be of another file or of none. Nothing that changes a file may be sent with a foreseen handle.
func (c *Call) Foreseen() string { return c.foreseen }

// AsForeseen reports, once Done is closed, whether the answer was the foreseen handle, and no other file has had it meanwhile.
func (c *Call) AsForeseen() bool { return c.asForeseen }

// Untouched reports, of an OPENDIR and once Done is closed, that no READDIR which was meant for another directory can have read this
// one: one that was sent with this handle because the other directory was foreseen to get it. Where it is false, names may be missing
// from what is read with the handle.
func (c *Call) Untouched() bool { return c.untouched }

// N is the number of bytes that Read has read or Write has written.
func (c *Call) N() int { return c.n }

// Data is what Read has read, in the buffer given to it.
func (c *Call) Data() []byte { return c.dst[:c.n] }

// Attr is the answer of Lstat, Stat and Fstat.
func (c *Call) Attr() Attr { return c.attr }

// Entries is the answer of Readdir.
func (c *Call) Entries() []Entry { return c.entries }

// Name is the answer of Realpath, Readlink and ExpandPath.
func (c *Call) Name() string { return c.text }

// StatVFS is the answer of Statvfs.
func (c *Call) StatVFS() StatVFS {
	if v, ok := c.other.(*StatVFS); ok {
		return *v
	}
	return StatVFS{}
}

// Names is the answer of UserGroupNames.
func (c *Call) Names() (users, groups []string) {
	if v, ok := c.other.(*idNames); ok {
		return v.users, v.groups
	}
	return nil, nil
}

// RTT is the time from when the writer began to send the request to the arrival
// of its reply, with the time spent in queues of the line. 0 where no reply came.
func (c *Call) RTT() time.Duration { return c.rtt }
