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
