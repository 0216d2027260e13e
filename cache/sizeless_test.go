package cache

import (
	"encoding/binary"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// withoutSize makes the server leave the size out of the attributes of what it is asked about.
func withoutSize(p sftptest.Packet) sftptest.Action {
	const attrs = 105
	if p.Type != attrs {
		return sftptest.Pass()
	}
	flags := binary.BigEndian.Uint32(p.Body)
	body := binary.BigEndian.AppendUint32(nil, p.ID)
	body = binary.BigEndian.AppendUint32(body, flags&^session.HasSize)
	body = append(body, p.Body[4+8:]...)
	return sftptest.ReplaceRaw(append(append(binary.BigEndian.AppendUint32(nil, uint32(1+len(body))), attrs), body...))
}

func TestAFileWhoseSizeIsNotToldIsNotReadAsEmpty(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	r.tap.OnReply(withoutSize)
	defer r.tap.OnReply(nil)
	for _, flags := range []uint32{syscall.O_RDONLY, syscall.O_WRONLY | syscall.O_APPEND, syscall.O_RDWR} {
		h, _, err := r.Open(ctxOf(t), r.mustFind("f").Node, flags)
		wantErrno(t, err, syscall.EOPNOTSUPP)
		if err == nil {
			h.Release()
		}
	}
	h, _, err := r.Open(ctxOf(t), r.mustFind("f").Node, syscall.O_WRONLY|syscall.O_TRUNC)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(h, "other")
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	h.Release()
	r.create(r.Root(), "new", "made")
	for name, want := range map[string]string{"f": "other", "new": "made"} {
		if got := r.remote(name); got != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
}
