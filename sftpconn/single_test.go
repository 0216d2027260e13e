package sftpconn

import (
	"bytes"
	"encoding/binary"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// greetingWith is a VERSION with these extensions.
func greetingWith(names ...string) []byte {
	b := []byte{0, 0, 0, 3}
	for _, name := range names {
		for _, s := range []string{name, "2,3,4,5,6"} {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
		}
	}
	return b
}

// ProFTPD puts the bytes of a request together in one place for all channels of a connection.
func TestAServerThatMixesChannelsGetsOneOfEachConnection(t *testing.T) {
	for _, conns := range []int{1, 2} {
		tap := sftptest.NewTap()
		tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "VERSION" {
				return sftptest.ReplaceBody(greetingWith("versions", "fsync@openssh.com", "posix-rename@openssh.com"))
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

func TestAServerThatDoesNotMixChannelsGetsSeveral(t *testing.T) {
	tap := sftptest.NewTap()
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "VERSION" {
			return sftptest.ReplaceBody(greetingWith("fsync@openssh.com", "home-directory"))
		}
		return sftptest.Pass()
	})
	c := connect(t, sftptest.New(t, sftptest.WithTap(tap)))
	c.allLinks()[0].grow(1)
	eventually(t, "another channel", func() bool { return tap.Count("INIT") == 2 })
}
