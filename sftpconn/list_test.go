package sftpconn

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// names is the body of a NAME.
func names(of ...string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(of)))
	for _, s := range of {
		for range 2 { // the name, and the one for people
			b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
			b = append(b, s...)
		}
		b = binary.BigEndian.AppendUint32(b, 0) // no attributes
	}
	return b
}

// listingServer answers the nth READDIR with the body of a NAME that answer gives.
func listingServer(t *testing.T, answer func(n int) []byte) (*Conn, *sftptest.Server, *sftptest.Tap) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	n := 0
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "READDIR" {
			return sftptest.Pass()
		}
		n++
		body := binary.BigEndian.AppendUint32(nil, p.ID)
		body = append(body, answer(n)...)
		raw := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)))
		return sftptest.ReplaceRaw(append(append(raw, 104), body...))
	})
	return connect(t, srv), srv, tap
}

func TestAnAnswerWithoutNamesEndsAListing(t *testing.T) {
	c, srv, tap := listingServer(t, func(n int) []byte {
		if n == 1 {
			return names("a", "b")
		}
		return names()
	})
	var got []string
	err := c.List(limited(t), srv.Dir(), func(list []Entry, _ bool) error {
		for _, e := range list {
			got = append(got, e.Name)
		}
		return nil
	})
	if err != nil || fmt.Sprint(got) != "[a b]" || tap.Count("READDIR") > 3 {
		t.Errorf("%v, %v after %d READDIRs", got, err, tap.Count("READDIR"))
	}
}

func TestAListingWithoutEndIsGivenUp(t *testing.T) {
	before := listMost
	t.Cleanup(func() { listMost = before })
	listMost = 1000
	c, srv, _ := listingServer(t, func(n int) []byte { return names(fmt.Sprint("x", n), fmt.Sprint("y", n)) })
	got := 0
	err := c.List(limited(t), srv.Dir(), func(list []Entry, _ bool) error { got += len(list); return nil })
	if err == nil || !strings.Contains(err.Error(), "more than 1000") || got != 1000 {
		t.Errorf("%d names, %v", got, err)
	}
}

func TestAListingOfLongNamesWithoutEndIsGivenUp(t *testing.T) {
	before := listMostBytes
	t.Cleanup(func() { listMostBytes = before })
	const long = 10_000
	listMostBytes = 100 * long
	c, srv, _ := listingServer(t, func(n int) []byte {
		if n > 200 {
			return names() // the test ends all the same
		}
		return names(strings.Repeat("x", long))
	})
	got := 0
	err := c.List(limited(t), srv.Dir(), func(list []Entry, _ bool) error { got += len(list); return nil })
	if err == nil || got > 100 || got < 90 {
		t.Errorf("%d names, %v", got, err)
	}
}
