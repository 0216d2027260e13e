package session

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"sshmount/sftpconn/sftptest"
)

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
func str(s string) []byte { return append(u32(uint32(len(s))), s...) }

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// packet is a whole reply.
func packet(t byte, id uint32, body ...[]byte) []byte {
	b := join(body...)
	return join(u32(uint32(5+len(b))), []byte{t}, u32(id), b)
}

// hostile gives a session whose server answers every request with what reply makes.
func hostile(t *testing.T, reply func(id uint32) []byte) *Session {
	t.Helper()
	tap := sftptest.NewTap()
	s, _ := real(t, sftptest.WithTap(tap))
	limits(t, s)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action { return sftptest.ReplaceRaw(reply(p.ID)) })
	return s
}

func TestRepliesThatEndTheSession(t *testing.T) {
	read := func(s *Session) *Call { return s.Read("h", 0, make([]byte, 10)) }
	lstat := func(s *Session) *Call { return s.Lstat(".") }
	readdir := func(s *Session) *Call { return s.Readdir("h") }
	for name, c := range map[string]struct {
		ask   func(*Session) *Call
		reply func(id uint32) []byte
		says  string
	}{
		"packet of 4 GiB":          {lstat, func(id uint32) []byte { return join(u32(math.MaxUint32), []byte{105}, u32(id)) }, "4294967295"},
		"packet too long":          {lstat, func(id uint32) []byte { return join(u32(maxPacketUnasked+1), []byte{105}, u32(id)) }, "the most"},
		"packet too short":         {lstat, func(id uint32) []byte { return join(u32(4), []byte{101, 0, 0, 0}) }, "too short"},
		"empty packet":             {lstat, func(id uint32) []byte { return u32(0) }, "too short"},
		"unknown id":               {lstat, func(id uint32) []byte { return packet(101, id+1, u32(0), str(""), str("")) }, "not asked"},
		"wrong type":               {lstat, func(id uint32) []byte { return packet(102, id, str("h")) }, "ATTRS was asked"},
		"no reply type":            {lstat, func(id uint32) []byte { return packet(3, id, str("h")) }, "ATTRS was asked"},
		"data unasked":             {lstat, func(id uint32) []byte { return packet(103, id, str("x")) }, "ATTRS was asked"},
		"cut attributes":           {lstat, func(id uint32) []byte { return packet(105, id, u32(hasAll), u64(1)) }, "cut short"},
		"countless extended pairs": {lstat, func(id uint32) []byte { return packet(105, id, u32(hasExtended), u32(math.MaxUint32)) }, "cut short"},
		"empty status":             {lstat, func(id uint32) []byte { return packet(101, id) }, "cut short"},
		"status with a long text":  {lstat, func(id uint32) []byte { return packet(101, id, u32(4), u32(1000), []byte("x")) }, "cut short"},
		"more data than asked":     {read, func(id uint32) []byte { return packet(103, id, str("12345678901")) }, "10 were asked"},
		"data that names more":     {read, func(id uint32) []byte { return packet(103, id, u32(10), []byte("123")) }, "names 10 bytes"},
		"data that names 4 GiB":    {read, func(id uint32) []byte { return packet(103, id, u32(math.MaxUint32), []byte("123")) }, "names"},
		"data that names less":     {read, func(id uint32) []byte { return packet(103, id, u32(1), []byte("123")) }, "names 1 bytes"},
		"data without a length":    {read, func(id uint32) []byte { return packet(103, id, []byte{0}) }, "too short"},
		"countless names":          {readdir, func(id uint32) []byte { return packet(104, id, u32(math.MaxUint32), make([]byte, 100)) }, "4294967295 entries"},
		"more names than bytes":    {readdir, func(id uint32) []byte { return packet(104, id, u32(9), make([]byte, 100)) }, "9 entries"},
		"cut name":                 {readdir, func(id uint32) []byte { return packet(104, id, u32(1), u32(100), []byte("abcdefghijk")) }, "cut short"},
		"handle too long": {func(s *Session) *Call { return opendir(s, ".") },
			func(id uint32) []byte { return packet(102, id, str(strings.Repeat("h", 257))) }, "handle of 257"},
		"cut statvfs": {func(s *Session) *Call { return s.Statvfs(".") },
			func(id uint32) []byte { return packet(201, id, u64(1)) }, "cut short"},
		"too many user names": {func(s *Session) *Call { return s.UserGroupNames([]uint32{1}, nil) },
			func(id uint32) []byte { return packet(201, id, str(string(join(str("a"), str("b")))), str("")) }, "more ids"},
		"cut user name": {func(s *Session) *Call { return s.UserGroupNames([]uint32{1}, nil) },
			func(id uint32) []byte { return packet(201, id, str("\x00\x00\x00\x09a"), str("")) }, "cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hostile(t, c.reply)
			lost := lostCall(t, c.ask(s))
			var broken *ProtocolError
			if !lost.Sent || !lost.First || !errors.As(lost, &broken) || !strings.Contains(lost.Error(), c.says) {
				t.Errorf("sent %v, first %v: %v", lost.Sent, lost.First, lost)
			}
			<-s.Done()
			if !errors.As(s.Err(), &broken) {
				t.Errorf("the session ended with %v", s.Err())
			}
		})
	}
}

func TestAReplyThatEndsTheSessionIsLaidToItsRequest(t *testing.T) {
	tap := sftptest.NewTap()
	s, _ := real(t, sftptest.WithTap(tap))
	if err := s.Lstat(".").Wait(t.Context()); err != nil {
		t.Fatal(err) // the answer about the limits came before that
	}
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request.Name == "LSTAT" {
			return sftptest.Hold()
		}
		return sftptest.ReplaceRaw(packet(103, p.ID))
	})
	older, bad := s.Lstat("."), s.Readdir("h")
	if lost := lostCall(t, bad); !lost.First {
		t.Errorf("the request with the bad answer is not called the first: %v", lost)
	}
	if lost := lostCall(t, older); lost.First {
		t.Errorf("an older request is called the first: %v", lost)
	}
}

func TestRepliesThatFailOnlyTheirCall(t *testing.T) {
	bad := join(u32(HasSize|HasMode), u64(1<<63), u32(0o100644))
	var refused *StatusError
	for name, c := range map[string]struct {
		ask   func(*Session) *Call
		reply func(id uint32) []byte
		good  func(*Call, error) bool
	}{
		"no bytes and no end": {func(s *Session) *Call { return s.Read("h", 0, make([]byte, 10)) },
			func(id uint32) []byte { return packet(103, id, str("")) },
			func(c *Call, err error) bool {
				return errors.Is(err, ErrNoProgress) && !errors.Is(err, io.EOF) && c.N() == 0
			}},
		"short read": {func(s *Session) *Call { return s.Read("h", 0, make([]byte, 10)) },
			func(id uint32) []byte { return packet(103, id, str("123")) },
			func(c *Call, err error) bool { return err == nil && c.N() == 3 }},
		"size of 2^63": {func(s *Session) *Call { return s.Lstat(".") },
			func(id uint32) []byte { return packet(105, id, bad) },
			func(c *Call, err error) bool { return errors.Is(err, ErrBadSize) }},
		"listed size of 2^63": {func(s *Session) *Call { return s.Readdir("h") },
			func(id uint32) []byte { return packet(104, id, u32(1), str("n"), str(""), bad) },
			func(c *Call, err error) bool {
				return err == nil && len(c.Entries()) == 1 && c.Entries()[0].Attr == Attr{Flags: HasMode, Mode: 0o100644}
			}},
		"OK without a handle": {func(s *Session) *Call { return opendir(s, ".") },
			func(id uint32) []byte { return packet(101, id, u32(0), str(""), str("")) },
			func(c *Call, err error) bool { return err != nil && !errors.As(err, &refused) }},
		"no name": {func(s *Session) *Call { return s.Realpath(".") },
			func(id uint32) []byte { return packet(104, id, u32(0)) },
			func(c *Call, err error) bool { return err != nil && !errors.As(err, &refused) }},
		"status without a text": {func(s *Session) *Call { return s.Remove("x") },
			func(id uint32) []byte { return packet(101, id, u32(StatusNoSpaceOnFilesystem)) },
			func(c *Call, err error) bool {
				return errors.As(err, &refused) && refused.Code == StatusNoSpaceOnFilesystem
			}},
		"extended pairs": {func(s *Session) *Call { return s.Lstat(".") },
			func(id uint32) []byte {
				return packet(105, id, u32(HasSize|hasExtended), u64(7), u32(2), str("a"), str("b"), str("c"), str(""))
			},
			func(c *Call, err error) bool { return err == nil && c.Attr() == Attr{Flags: HasSize, Size: 7} }},
		"end of file of another request": {func(s *Session) *Call { return s.Remove("x") },
			func(id uint32) []byte { return packet(101, id, u32(StatusEOF), str(""), str("")) },
			func(c *Call, err error) bool { return errors.As(err, &refused) && !errors.Is(err, io.EOF) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := hostile(t, c.reply)
			call := c.ask(s)
			if err := outcome(t, call); !c.good(call, err) {
				t.Errorf("%v, %+v, %d bytes", err, call.Attr(), call.N())
			}
			if s.Err() != nil {
				t.Errorf("the session ended: %v", s.Err())
			}
		})
	}
}

func TestReplyToARequestThatWasNotSent(t *testing.T) {
	tap := sftptest.NewTap()
	s, _ := real(t, sftptest.WithTap(tap))
	limits(t, s)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		return sftptest.ReplaceRaw(join(packet(101, p.ID, u32(4)), packet(101, p.ID, u32(4))))
	})
	refusedWith(t, s.Lstat("."), StatusFailure)
	<-s.Done()
	var broken *ProtocolError
	if !errors.As(s.Err(), &broken) {
		t.Errorf("a request answered twice: %v", s.Err())
	}
}
