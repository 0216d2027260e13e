package session

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// scripted is a server that says its greeting, waits until the client has sent
// a number of bytes, and then says the rest and ends.
type scripted struct {
	greeting, rest []byte
	await          int

	mu     sync.Mutex // guards sent
	sent   int
	ready  chan struct{} // closed when await bytes are sent
	closed chan struct{}
	once   sync.Once
}

func newScripted(greeting, rest []byte, await int) *scripted {
	return &scripted{greeting: greeting, rest: rest, await: await, ready: make(chan struct{}), closed: make(chan struct{})}
}

func (c *scripted) Read(b []byte) (int, error) {
	if len(c.greeting) == 0 {
		select {
		case <-c.ready:
		case <-c.closed:
			return 0, io.ErrClosedPipe
		}
	}
	for _, part := range []*[]byte{&c.greeting, &c.rest} {
		if n := copy(b, *part); n > 0 {
			*part = (*part)[n:]
			return n, nil
		}
	}
	return 0, io.EOF
}

func (c *scripted) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.sent
	c.sent += len(b)
	if before < c.await && c.sent >= c.await {
		close(c.ready)
	}
	return len(b), nil
}

func (c *scripted) Remarks() string { return "" }

func (c *scripted) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

var plainVersion = []byte{0, 0, 0, 5, 2, 0, 0, 0, 3}

// everyRequest starts one request of each kind of answer; their ids are 1, 2, 3…
var everyRequest = []func(*Session) *Call{
	func(s *Session) *Call { return s.Remove("f") },
	func(s *Session) *Call { return opendir(s, "d") },
	func(s *Session) *Call { return s.Read("h", 0, make([]byte, 10)) },
	func(s *Session) *Call { return s.Lstat("f") },
	func(s *Session) *Call { return s.Readdir("h") },
	func(s *Session) *Call { return s.Realpath(".") },
	func(s *Session) *Call { return s.Statvfs(".") },
	func(s *Session) *Call { return s.startExtended(extLimits, answerLimits) },
	func(s *Session) *Call { return s.UserGroupNames([]uint32{1, 2}, []uint32{3}) },
}

// sizeOf is how many bytes the client sends for some requests, INIT included.
func sizeOf(requests ...func(*Session) *Call) int {
	s := &Session{err: io.ErrClosedPipe} // it only makes the frames
	size := len(appendInit(nil))
	for _, ask := range requests {
		c := ask(s)
		size += c.frame.Len() + len(c.payload)
	}
	return size
}

// run asks with a server that answers with stream, and checks what must hold whatever came.
func run(t *testing.T, stream []byte, requests ...func(*Session) *Call) {
	s, err := Open(t.Context(), newScripted(plainVersion, stream, sizeOf(requests...)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var calls []*Call
	for _, ask := range requests {
		calls = append(calls, ask(s))
	}
	for _, c := range calls {
		select {
		case <-c.Done():
		case <-time.After(deadline):
			t.Fatal("a call did not end")
		}
		err := c.Wait(t.Context())
		var lost *LostError
		switch {
		case c.n > c.asked:
			t.Errorf("%d bytes read, %d asked", c.n, c.asked)
		case c.n > 0 && err == io.EOF:
			t.Error("bytes and an end of file")
		case err == io.EOF && c.want != answerData && c.want != answerEntries:
			t.Errorf("an end of file for %v", c.want)
		case errors.As(err, &lost) && errors.Is(err, io.EOF):
			t.Errorf("a lost session looks like an end of file: %v", err)
		case err == nil && c.want == answerAttrs && c.attr.Size > 1<<63-1:
			t.Errorf("size %d", c.attr.Size)
		case len(c.text) > len(stream) || len(c.entries)*minEntry > len(stream):
			t.Errorf("%d bytes of text and %d entries of a stream of %d", len(c.text), len(c.entries), len(stream))
		case c.want == answerLimits && err == nil:
			if l := *c.other.(*Limits); l.MaxPacket > maxPacketEver || l.MaxRead == 0 || l.MaxWrite > l.MaxPacket {
				t.Errorf("limits %+v", l)
			}
		}
	}
	<-s.Done()
	if s.InFlight() != 0 {
		t.Errorf("%d in flight at the end", s.InFlight())
	}
}

// goodReplies are right answers to everyRequest.
func goodReplies() [][]byte {
	attr := join(u32(hasAll|hasExtended), u64(5), u32(1), u32(2), u32(0o100644), u32(3), u32(4), u32(1), str("a"), str("b"))
	var vfs []byte
	for i := range uint64(11) {
		vfs = append(vfs, u64(i)...)
	}
	return [][]byte{
		packet(101, 1, u32(0), str(""), str("")),
		packet(102, 2, str("handle")),
		packet(103, 3, str("12345")),
		packet(105, 4, attr),
		packet(104, 5, u32(2), str("a"), str("-rw"), attr, str("b"), str(""), u32(0)),
		packet(104, 6, u32(1), str("/home"), str("/home"), u32(0)),
		packet(201, 7, vfs),
		packet(201, 8, u64(1<<18), u64(255<<10), u64(255<<10), u64(1000)),
		packet(201, 9, str(string(join(str("root"), str("daemon")))), str(string(str("users")))),
	}
}

// FuzzServerBytes feeds a session that has one request of each kind in flight
// with any bytes: it must neither panic, nor hang, nor believe anything.
func FuzzServerBytes(f *testing.F) {
	replies := goodReplies()
	f.Add(join(replies...))
	for _, r := range replies {
		f.Add(r)
		f.Add(r[:len(r)-1])
	}
	f.Add(join(packet(101, 3, u32(1), str("end"), str("")), packet(101, 5, u32(1))))
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, stream []byte) { run(t, stream, everyRequest...) })
}

// FuzzReply gives one request a reply with a right header and any body, so that
// the fuzzer reaches the decoders at once.
func FuzzReply(f *testing.F) {
	for i, r := range goodReplies() {
		f.Add(uint8(i), r[4], r[9:])
		f.Add(uint8(i), uint8(sshfx.PacketTypeStatus), join(u32(4), str("no"), str("en")))
	}
	f.Fuzz(func(t *testing.T, which, kind uint8, body []byte) {
		run(t, packet(kind, 1, body), everyRequest[int(which)%len(everyRequest)])
	})
}

// FuzzGreeting gives any bytes where VERSION should be.
func FuzzGreeting(f *testing.F) {
	f.Add(plainVersion)
	f.Add([]byte("Welcome\n"))
	f.Add(join(u32(uint32(5+4+len(extLimits)+4+1)), []byte{2}, u32(3), str(extLimits), str("1")))
	f.Add(join(u32(6), []byte{2}, u32(2), []byte{0}))
	f.Fuzz(func(t *testing.T, stream []byte) {
		ch := newScripted(stream, nil, 0)
		close(ch.ready) // after the bytes comes the end
		s, err := Open(t.Context(), ch, Options{})
		if err != nil {
			return
		}
		defer s.Close()
		if limits(t, s).MaxRead == 0 {
			t.Error("no limit")
		}
	})
}
