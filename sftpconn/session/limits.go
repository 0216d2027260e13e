package session

import (
	"errors"
	"math"
)

// Limits is the answer to limits@openssh.com, with the defaults of servers that
// have none (34,000 bytes a packet, 32,768 a READ or WRITE). All in bytes, but
// MaxHandles, of which 0 means not known.
type Limits struct{ MaxPacket, MaxRead, MaxWrite, MaxHandles uint64 }

const (
	// maxPacketUnasked bounds packets as long as the server has named no limit:
	// what OpenSSH takes (256 KiB), and some room.
	maxPacketUnasked = 256<<10 + 1<<10

	// maxPacketEver bounds what is believed of a server's own limit.
	maxPacketEver = 1 << 20

	// overhead is what a READ's answer or a WRITE needs besides the data.
	overhead = 1 << 10
)

// DefaultLimits are those that every server must keep (draft-02 section 3).
var DefaultLimits = Limits{MaxPacket: 34000, MaxRead: 32768, MaxWrite: 32768}

// unlimited replaces fields that are 0, which mean that the server has no limit: OpenSSH's
// limits are a good measure then.
var unlimited = Limits{MaxPacket: 256 << 10, MaxRead: 255 << 10, MaxWrite: 255 << 10}

// Limits returns how large requests may be. It does not wait for the server's answer: told is
// false as long as that is missing, and l are the defaults then. Open has asked for the limits
// before anything else, so a server that answers in order has told them when any other call is
// answered.
func (s *Session) Limits() (l Limits, told bool) {
	if s.limits == nil {
		return DefaultLimits, true
	}
	select {
	case <-s.limits.done:
		if l, ok := s.limits.other.(*Limits); ok {
			return *l, true
		}
		_, lost := errors.AsType[*LostError](s.limits.err)
		return DefaultLimits, !lost
	default:
		return DefaultLimits, false
	}
}

// otherDescriptors bounds how many descriptors OpenSSH's process may need besides those that MaxHandles leaves out. It counts five, and a
// server inside sshd (internal-sftp) has more.
const otherDescriptors = 16

// Spare returns how many more handles the server will surely give out on this session; known is false where that can't be told.
func (s *Session) Spare() (n int, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spare()
}

// spare is Spare with mu held.
func (s *Session) spare() (n int, known bool) {
	l, _ := s.Limits()
	if l.MaxHandles == 0 || l.MaxHandles > math.MaxInt32 || !s.handles.may || s.handles.wrong {
		return 0, false
	}
	return max(0, int(l.MaxHandles)-otherDescriptors-s.handles.open()), true
}

// full says whether about as many handles are open as the server allows. With mu held.
func (s *Session) full() bool {
	n, known := s.spare()
	return known && n == 0
}

// sane makes what the server answered usable: no field is 0 or absurd, and a
// packet holds what a READ or WRITE brings.
func (l Limits) sane() Limits {
	fix := func(v, none, least, most uint64) uint64 {
		if v == 0 {
			v = none
		}
		return min(max(v, least), most)
	}
	l.MaxPacket = fix(l.MaxPacket, unlimited.MaxPacket, DefaultLimits.MaxPacket, maxPacketEver)
	// A server may say less than 32 KiB: that is obeyed, down to 4 KiB.
	l.MaxRead = fix(l.MaxRead, unlimited.MaxRead, 4<<10, l.MaxPacket-overhead)
	l.MaxWrite = fix(l.MaxWrite, unlimited.MaxWrite, 4<<10, l.MaxPacket-overhead)
	return l
}
