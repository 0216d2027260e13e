package sftptest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// deadline is what a test waits for something that must come, on a busy machine.
const deadline = 20 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, srv *sftptest.Server) transport.Transport {
	t.Helper()
	tr, err := srv.Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

func open(t *testing.T, tr transport.Transport) *session.Session {
	t.Helper()
	ch, err := tr.OpenChannel(within(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(within(t), ch, session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// limits waits for what the server says of its limits: before anything else.
func limits(t *testing.T, s *session.Session) session.Limits {
	t.Helper()
	if err := wait(t, s.Lstat(".")); err != nil {
		t.Fatal(err)
	}
	l, _ := s.Limits()
	return l
}

func wait(t *testing.T, c *session.Call) error {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(deadline):
		t.Fatal("call is not answered")
	}
	return c.Wait(context.Background())
}

func TestServesItsDirectory(t *testing.T) {
	srv := sftptest.New(t)
	s := open(t, dial(t, srv))
	if err := wait(t, s.Mkdir("made", session.Attr{})); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(srv.Dir(), "made")); err != nil || !info.IsDir() {
		t.Errorf("directory made over SFTP: %v, %v", info, err)
	}
}

func TestArgumentsReachTheServer(t *testing.T) {
	srv := sftptest.New(t, sftptest.Args("-R"))
	s := open(t, dial(t, srv))
	var refused *session.StatusError
	if err := wait(t, s.Mkdir("made", session.Attr{})); !errors.As(err, &refused) {
		t.Errorf("mkdir on a read-only server: %v", err)
	}
}

func TestMaxChannels(t *testing.T) {
	srv := sftptest.New(t, sftptest.MaxChannels(2))
	tr := dial(t, srv)
	first := open(t, tr)
	open(t, tr)
	if _, err := tr.OpenChannel(within(t)); !errors.Is(err, transport.ErrNoMoreChannels) {
		t.Fatalf("third channel: %v", err)
	}
	first.Close()
	for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		ch, err := tr.OpenChannel(within(t))
		if err == nil {
			ch.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("channel after another was closed: %v", err)
		}
	}
}

func TestRefuse(t *testing.T) {
	srv := sftptest.New(t)
	srv.Refuse(os.ErrPermission)
	if _, err := srv.Dial(within(t)); !errors.Is(err, os.ErrPermission) {
		t.Errorf("refused dial: %v", err)
	}
	srv.Refuse(nil)
	dial(t, srv)
	if n := srv.Dials(); n != 2 {
		t.Errorf("%d dials counted, 2 made", n)
	}
}

func TestCutEndsEverythingAndTheNextDialWorks(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	tr := dial(t, srv)
	s := open(t, tr)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action { return sftptest.Drop() })
	c := s.Lstat(".")
	srv.Cut()
	var lost *session.LostError
	if err := wait(t, c); !errors.As(err, &lost) {
		t.Errorf("call on a cut line: %v", err)
	}
	select {
	case <-tr.Done():
		if !errors.Is(tr.Err(), sftptest.ErrCut) {
			t.Errorf("transport ended with %v", tr.Err())
		}
	case <-time.After(deadline):
		t.Error("transport is not done")
	}
	tap.OnReply(nil)
	if err := wait(t, open(t, dial(t, srv)).Lstat(".")); err != nil {
		t.Errorf("after dialling again: %v", err)
	}
}

func TestCutAfterBytesCutsInTheMiddleOfAWrite(t *testing.T) {
	srv := sftptest.New(t)
	s := open(t, dial(t, srv))
	c := s.OpenFile("f", session.OpenWrite|session.OpenCreate, session.Attr{})
	if err := wait(t, c); err != nil {
		t.Fatal(err)
	}
	srv.CutAfterBytes(100 << 10)
	var lost *session.LostError
	if err := wait(t, s.Write(c.Handle(), 0, make([]byte, 200<<10))); !errors.As(err, &lost) || !lost.Sent {
		t.Errorf("write that was cut: %v", err)
	}
	open(t, dial(t, srv))
}

func TestFreezeStopsBytesWithoutAnError(t *testing.T) {
	srv := sftptest.New(t)
	tr := dial(t, srv)
	s := open(t, tr)
	limits(t, s) // so that its answer isn't under way any more
	srv.Freeze()
	c := s.Lstat(".")
	short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("call on a frozen line: %v", err)
	}
	if err := tr.Probe(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("probe on a frozen line: %v", err)
	}
	if _, err := srv.Dial(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial on a frozen line: %v", err)
	}
	srv.Thaw()
	if err := wait(t, c); err != nil {
		t.Errorf("call after the thaw: %v", err)
	}
	before := time.Now()
	if err := tr.Probe(within(t)); err != nil {
		t.Errorf("probe after the thaw: %v", err)
	}
	if tr.LastReceived().Before(before) {
		t.Error("the probe's answer is not in LastReceived")
	}
}

func TestCutWhileFrozen(t *testing.T) {
	srv := sftptest.New(t)
	s := open(t, dial(t, srv))
	srv.Freeze()
	c := s.Lstat(".")
	srv.Cut()
	var lost *session.LostError
	if err := wait(t, c); !errors.As(err, &lost) {
		t.Errorf("call on a line that froze and was cut: %v", err)
	}
}

func TestLargeTransfersPassTheTapUnchanged(t *testing.T) {
	srv := sftptest.New(t, sftptest.WithTap(sftptest.NewTap()))
	s := open(t, dial(t, srv))
	c := s.OpenFile("f", session.OpenRead|session.OpenWrite|session.OpenCreate, session.Attr{})
	if err := wait(t, c); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, limits(t, s).MaxWrite)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	if err := wait(t, s.Write(c.Handle(), 0, data)); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(data))
	r := s.Read(c.Handle(), 0, back)
	if err := wait(t, r); err != nil || r.N() != len(back) || !bytes.Equal(back, data) {
		t.Errorf("read back: %v, %d bytes, equal %v", err, r.N(), bytes.Equal(back, data))
	}
}
