package session

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

func TestQueueKeepsTheOrder(t *testing.T) {
	tap := sftptest.NewTap()
	s, _ := real(t, sftptest.WithTap(tap))
	limits(t, s)
	var sent []string
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action { // called by one goroutine: the writer
		sent = append(sent, p.Text)
		return sftptest.Pass()
	})
	var want []string
	var calls []*Call
	for i := range 500 {
		want = append(want, fmt.Sprint(i))
		calls = append(calls, s.Lstat(fmt.Sprint(i)))
	}
	for _, c := range calls {
		refusedWith(t, c, StatusNoSuchFile)
	}
	if !slices.Equal(sent, want) {
		t.Errorf("sent in the order %v", sent)
	}
	if n := s.InFlight(); n != 0 {
		t.Errorf("%d in flight after all were answered", n)
	}
}

func TestRepliesInAnyOrder(t *testing.T) {
	tap := sftptest.NewTap()
	s, _ := real(t, sftptest.WithTap(tap))
	limits(t, s)
	f := must(t, s.OpenFile("f", OpenRead|OpenWrite|OpenCreate, Attr{})).Handle()
	data := pattern(50_000)
	must(t, s.Write(f, 0, data))
	tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Hold() })
	back := make([]byte, len(data))
	var calls []*Call
	for off := 0; off < len(data); off += 10_000 {
		calls = append(calls, s.Read(f, uint64(off), back[off:off+10_000]))
	}
	calls = append(calls, s.Lstat("f"), s.Mkdir("d", Attr{}))
	if !tap.WaitHeld(len(calls), deadline) {
		t.Fatalf("%d replies are held", len(tap.Held()))
	}
	tap.Release(3, 6, 0, 5, 4, 2, 1)
	for _, c := range calls {
		must(t, c)
	}
	if !bytes.Equal(back, data) {
		t.Error("read data is not what was written")
	}
	if size := calls[5].Attr().Size; size != uint64(len(data)) {
		t.Errorf("size %d", size)
	}
}

func TestManyGoroutines(t *testing.T) {
	s, _ := real(t)
	f := must(t, s.OpenFile("f", OpenRead|OpenWrite|OpenCreate, Attr{})).Handle()
	errs := make(chan error)
	const n = 20
	for i := range n {
		go func() {
			piece := bytes.Repeat([]byte{byte(i)}, 40_000)
			back := make([]byte, len(piece))
			for range 10 {
				w := s.Write(f, uint64(i*len(piece)), piece)
				r := s.Read(f, uint64(i*len(piece)), back)
				if err := errors.Join(w.Wait(t.Context()), r.Wait(t.Context())); err != nil {
					errs <- err
					return
				}
				if r.N() != len(piece) || !bytes.Equal(back, piece) {
					errs <- fmt.Errorf("goroutine %d read %d wrong bytes", i, r.N())
					return
				}
			}
			errs <- nil
		}()
	}
	for range n {
		select {
		case err := <-errs:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(deadline):
			t.Fatal("a goroutine did not end")
		}
	}
}
