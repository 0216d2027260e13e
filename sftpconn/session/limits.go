package session

import "errors"

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

// unlimited stands in for fields that are 0, which say that the server has no
// limit of its own: then OpenSSH's are a good measure.
var unlimited = Limits{MaxPacket: 256 << 10, MaxRead: 255 << 10, MaxWrite: 255 << 10}

// Limits says how large requests may be, without waiting. Open has asked the server
// before anything else, so its answer is there once another call has been answered by
// a server that answers in order. told is false before: l are the defaults then, as
// where the session is lost first.
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
