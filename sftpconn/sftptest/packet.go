package sftptest

import (
	"encoding/binary"
	"fmt"
	"strings"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// Packet is one packet that passes a Tap.
type Packet struct {
	Channel int    // which channel, counted from 1 in the order of opening
	Type    byte   // as on the wire
	Name    string // "OPEN", "STATUS"…; an EXTENDED has the name of its extension ("fsync@openssh.com")
	ID      uint32 // 0 with INIT and VERSION
	Text    string // the first string of a request: a path or a handle; "" where there is none
	Body    []byte // what follows the id (the type, with INIT and VERSION). Not to be changed in place

	// Request is what a reply answers; nil with requests.
	Request *Packet
}

// Status is the code of a STATUS reply; ok is false for other packets.
func (p Packet) Status() (code uint32, ok bool) {
	if sshfx.PacketType(p.Type) != sshfx.PacketTypeStatus || len(p.Body) < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(p.Body), true
}

// Offset is where in its file a READ reads or a WRITE writes, in bytes.
func (p Packet) Offset() int64 { return int64(binary.BigEndian.Uint64(p.Body[4+len(p.Text):])) }

func (p Packet) String() string {
	s := fmt.Sprintf("ch%d %s id=%d", p.Channel, p.Name, p.ID)
	if code, ok := p.Status(); ok {
		s += fmt.Sprintf(" code=%d", code)
	}
	if p.Text != "" {
		s += fmt.Sprintf(" %q", p.Text)
	}
	return s
}

// raw is the packet as on the wire, with another body.
func (p Packet) raw(body []byte) []byte {
	head := 5
	if p.hasID() {
		head = 9
	}
	b := make([]byte, head, head+len(body))
	binary.BigEndian.PutUint32(b, uint32(head-4+len(body)))
	b[4] = p.Type
	if p.hasID() {
		binary.BigEndian.PutUint32(b[5:], p.ID)
	}
	return append(b, body...)
}

func (p Packet) hasID() bool {
	t := sshfx.PacketType(p.Type)
	return t != sshfx.PacketTypeInit && t != sshfx.PacketTypeVersion
}

// parsePacket reads a whole packet, of which b is what follows the length.
func parsePacket(channel int, b []byte) Packet {
	p := Packet{Channel: channel}
	if len(b) == 0 {
		p.Name = "(empty)"
		return p
	}
	t := sshfx.PacketType(b[0])
	p.Type, p.Body = b[0], b[1:]
	p.Name = strings.TrimPrefix(t.String(), "SSH_FXP_")
	if p.hasID() && len(p.Body) >= 4 {
		p.ID = binary.BigEndian.Uint32(p.Body)
		p.Body = p.Body[4:]
	}
	isRequest := t == sshfx.PacketTypeExtended || t > sshfx.PacketTypeVersion && t < sshfx.PacketTypeStatus
	if !isRequest {
		return p
	}
	buf := sshfx.NewBuffer(p.Body)
	if t == sshfx.PacketTypeExtended {
		p.Name = buf.ConsumeString()
	}
	if text := buf.ConsumeString(); buf.Err == nil && len(text) <= 4096 {
		p.Text = text
	}
	return p
}

// splitPacket cuts the first whole packet off a stream: what follows its length
// field, and the rest. ok is false where there is none yet.
func splitPacket(stream []byte) (packet, rest []byte, ok bool) {
	if len(stream) < 4 {
		return nil, stream, false
	}
	n := int64(binary.BigEndian.Uint32(stream)) + 4
	if int64(len(stream)) < n {
		return nil, stream, false
	}
	return stream[4:n], stream[n:], true
}
