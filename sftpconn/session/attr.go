package session

import (
	"math"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// Flags of Attr: which of its fields are set. The values are those of the wire.
const (
	HasSize  = 1 << iota // Size
	HasOwner             // UID and GID
	HasMode              // Mode
	HasTimes             // Atime and Mtime

	hasAll      = HasSize | HasOwner | HasMode | HasTimes
	hasExtended = 1 << 31 // name and value pairs follow; nothing here needs them
)

// Attr holds the attributes of SFTP v3 (draft-02 section 5), as the server has sent
// them or as they are to be set. Only fields named by Flags mean anything.
type Attr struct {
	Flags        uint32
	Mode         uint32 // type and permission bits, as in stat(2)
	Size         uint64 // bytes; in an answer always below 2^63
	UID, GID     uint32
	Atime, Mtime uint32 // seconds since 1970
}

// Entry is one name of a listing with its attributes. A size that no file can
// have (2^63 or more) is left out of Attr.Flags.
type Entry struct {
	Name string
	Attr Attr
}

// StatVFS is the answer to statvfs@openssh.com, in the units of statvfs(3):
// Blocks, Bfree and Bavail count pieces of Frsize bytes.
type StatVFS struct {
	Bsize, Frsize, Blocks, Bfree, Bavail, Files, Ffree, Favail, Fsid, Flag, Namemax uint64
}

func appendAttr(b *sshfx.Buffer, a Attr) {
	flags := a.Flags & hasAll
	b.AppendUint32(flags)
	if flags&HasSize != 0 {
		b.AppendUint64(a.Size)
	}
	if flags&HasOwner != 0 {
		b.AppendUint32(a.UID)
		b.AppendUint32(a.GID)
	}
	if flags&HasMode != 0 {
		b.AppendUint32(a.Mode)
	}
	if flags&HasTimes != 0 {
		b.AppendUint32(a.Atime)
		b.AppendUint32(a.Mtime)
	}
}

// consumeAttr reads one ATTRS. It skips extended pairs. The codec's own decoder trusts
// their count and allocates for it: a count of 2^32-1 in a packet of 30 bytes would take
// all memory of this machine. badSize says that the size was 2^63 or more; it is not in
// Flags then.
func consumeAttr(b *sshfx.Buffer) (a Attr, badSize bool) {
	flags := b.ConsumeUint32()
	a.Flags = flags & hasAll
	if flags&HasSize != 0 {
		a.Size = b.ConsumeUint64()
		if a.Size > math.MaxInt64 {
			a.Size, badSize = 0, true
			a.Flags &^= HasSize
		}
	}
	if flags&HasOwner != 0 {
		a.UID = b.ConsumeUint32()
		a.GID = b.ConsumeUint32()
	}
	if flags&HasMode != 0 {
		a.Mode = b.ConsumeUint32()
	}
	if flags&HasTimes != 0 {
		a.Atime = b.ConsumeUint32()
		a.Mtime = b.ConsumeUint32()
	}
	if flags&hasExtended != 0 {
		for n := b.ConsumeUint32(); n > 0 && b.Err == nil; n-- {
			b.ConsumeBytes()
			b.ConsumeBytes()
		}
	}
	return a, badSize
}
