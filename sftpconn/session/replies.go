package session

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

const (
	maxHandle    = 256     // bytes; draft-02 section 6.2
	maxPath      = 4095    // bytes of a path or of a link's target; more can't be used here (PATH_MAX)
	maxStatusMsg = 1 << 10 // bytes kept of a status message
	minEntry     = 12      // bytes of a NAME entry whose strings are empty and that has no attributes
)

func (a answer) String() string {
	switch a {
	case answerHandle:
		return "a HANDLE"
	case answerData:
		return "DATA"
	case answerAttrs:
		return "ATTRS"
	case answerEntries, answerName:
		return "NAME"
	case answerStatVFS, answerLimits, answerNames:
		return "EXTENDED_REPLY"
	}
	return "STATUS"
}

// accepts says whether a reply of type t fits; DATA is apart (reader.data).
func (a answer) accepts(t sshfx.PacketType) bool {
	switch t {
	case sshfx.PacketTypeStatus:
		return true
	case sshfx.PacketTypeHandle:
		return a == answerHandle
	case sshfx.PacketTypeAttrs:
		return a == answerAttrs
	case sshfx.PacketTypeName:
		return a == answerEntries || a == answerName
	case sshfx.PacketTypeExtendedReply:
		return a == answerStatVFS || a == answerLimits || a == answerNames
	}
	return false
}

// parse reads the body of any reply but DATA, of a type that accepts has let
// pass. fault is the outcome of the call; err ends the session. What it keeps of body it copies.
func (c *Call) parse(t sshfx.PacketType, body []byte) (fault, err error) {
	b := sshfx.NewBuffer(body)
	switch t {
	case sshfx.PacketTypeStatus:
		fault = c.parseStatus(b)
	case sshfx.PacketTypeHandle:
		handle := b.ConsumeBytes()
		if len(handle) > maxHandle {
			return nil, broken("it sends a handle of %d bytes, where %d are the most", len(handle), maxHandle)
		}
		c.text = string(handle)
	case sshfx.PacketTypeAttrs:
		var bad bool
		if c.attr, bad = consumeAttr(b); bad {
			fault = ErrBadSize
		}
	case sshfx.PacketTypeName:
		fault, err = c.parseNames(b)
	case sshfx.PacketTypeExtendedReply:
		err = c.parseExtended(b)
	}
	if err == nil && b.Err != nil {
		err = broken("its %v is cut short", t)
	}
	return fault, err
}

func (c *Call) parseStatus(b *sshfx.Buffer) error {
	code := b.ConsumeUint32()
	if b.Err != nil {
		return nil // parse makes an error of it
	}
	switch {
	case code == StatusOK && c.want == answerStatus:
		return nil
	case code == StatusOK:
		return errors.New("server answers OK, without what was asked for")
	case code == StatusEOF && (c.want == answerData || c.want == answerEntries):
		return io.EOF
	}
	e := &StatusError{Code: code}
	if b.Len() > 0 { // servers of before v3 leave message and language out
		msg := b.ConsumeBytes()
		e.Msg = string(msg[:min(len(msg), maxStatusMsg)])
	}
	return e
}

func (c *Call) parseNames(b *sshfx.Buffer) (fault, err error) {
	count := b.ConsumeUint32()
	if b.Err != nil {
		return nil, nil
	}
	if int64(count)*minEntry > int64(b.Len()) {
		return nil, broken("it sends NAME of %d entries in %d bytes", count, b.Len())
	}
	if c.want == answerName {
		if count == 0 {
			return errors.New("server answers without a name"), nil
		}
		name := b.ConsumeBytes()
		if len(name) > maxPath {
			return fmt.Errorf("server answers with a path of %d bytes, where %d are the most: %w", len(name), maxPath, syscall.ENAMETOOLONG), nil
		}
		c.text = string(name)
		return nil, nil
	}
	c.entries = make([]Entry, count)
	for i := range c.entries {
		e := &c.entries[i]
		e.Name = b.ConsumeString()
		b.ConsumeBytes() // the long name, made for people
		e.Attr, _ = consumeAttr(b)
	}
	return nil, nil
}

func (c *Call) parseExtended(b *sshfx.Buffer) error {
	switch c.want {
	case answerStatVFS:
		v := &StatVFS{}
		for _, field := range []*uint64{&v.Bsize, &v.Frsize, &v.Blocks, &v.Bfree, &v.Bavail,
			&v.Files, &v.Ffree, &v.Favail, &v.Fsid, &v.Flag, &v.Namemax} {
			*field = b.ConsumeUint64()
		}
		c.other = v
	case answerLimits:
		l := Limits{
			MaxPacket:  b.ConsumeUint64(),
			MaxRead:    b.ConsumeUint64(),
			MaxWrite:   b.ConsumeUint64(),
			MaxHandles: b.ConsumeUint64(),
		}.sane()
		if b.Err != nil {
			return nil
		}
		c.other = &l
		c.s.maxPacket.Store(max(int64(l.MaxPacket), maxPacketUnasked))
	case answerNames:
		names := c.other.(*idNames)
		for _, list := range [][]string{names.users, names.groups} {
			block := sshfx.NewBuffer(b.ConsumeBytes())
			for i := 0; block.Len() > 0; i++ {
				if i == len(list) {
					return broken("it sends names for more ids than the %d that were asked", len(list))
				}
				list[i] = block.ConsumeString()
			}
			if block.Err != nil {
				return broken("a name in its list of users and groups is cut short")
			}
		}
	}
	return nil
}
