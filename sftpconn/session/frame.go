package session

import (
	"sync"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// newFrame begins a request of type t. Buffers come from a pool, to which the writer gives them back.
func newFrame(t sshfx.PacketType) *sshfx.Buffer {
	b := frames.Get().(*sshfx.Buffer)
	b.StartPacket(t, 0)
	return b
}

var frames = sync.Pool{New: func() any { return sshfx.NewMarshalBuffer(128) }}

// maxPooledFrame keeps a buffer that a long path has grown out of the pool. Bytes.
const maxPooledFrame = 1 << 10

// recycle gives a buffer of newFrame back.
func recycle(b *sshfx.Buffer) {
	if b.Cap() <= maxPooledFrame {
		frames.Put(b)
	}
}
