package sftpconn

import (
	"bytes"
	"encoding/binary"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// vendorGreeting is a VERSION whose vendor-id names product.
func vendorGreeting(product string) []byte {
	text := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	id := text(text(text(nil, "a vendor"), product), "1.1.1")
	id = binary.BigEndian.AppendUint64(id, 7)
	return text(text([]byte{0, 0, 0, 3}, "vendor-id"), string(id))
}

// ProFTPD puts the bytes of a request together in one place for all channels of a connection.
func TestAServerThatMixesChannelsGetsOneOfEachConnection(t *testing.T) {
	for _, conns := range []int{1, 2} {
		tap := sftptest.NewTap()
		tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "VERSION" {
				return sftptest.ReplaceBody(vendorGreeting("mod_sftp"))
			}
			return sftptest.Pass()
		})
		srv := sftptest.New(t, sftptest.WithTap(tap))
		c := connect(t, srv, func(o *Options) { o.MaxConns = conns })
		want := content(1, 8<<20)
		f := openFile(t, c, file(t, srv, "f", want), rd)
		for range 3 {
			got, err := readAll(limited(t), f, len(want), 64)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("read %d bytes, %v", len(got), err)
			}
		}
		c.addLink()
		eventually(t, "as many connections as are wanted", func() bool { return len(c.allLinks()) == conns })
		for _, l := range c.allLinks() {
			l.grow(2)
			eventually(t, "the further channel is refused", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.full && l.opening == 0 || tap.Count("INIT") > conns
			})
		}
		if n := tap.Count("INIT"); n != conns {
			t.Errorf("%d connections have had %d channels", conns, n)
		}
	}
}

func TestAServerOfAnotherVendorGetsSeveralChannels(t *testing.T) {
	tap := sftptest.NewTap()
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "VERSION" {
			return sftptest.ReplaceBody(vendorGreeting("other"))
		}
		return sftptest.Pass()
	})
	c := connect(t, sftptest.New(t, sftptest.WithTap(tap)))
	c.allLinks()[0].grow(1)
	eventually(t, "another channel", func() bool { return tap.Count("INIT") == 2 })
	if c.newest.Load().Has("fsync@openssh.com") || c.newest.Load().MixesChannels() {
		t.Error("this is not the server that was meant")
	}
}
