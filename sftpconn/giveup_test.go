package sftpconn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

func TestWaitingEndsAfterReconnectTimeout(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv, func(o *Options) { o.ReconnectTimeout = 300 * time.Millisecond })
	path := file(t, srv, "f", []byte("x"))
	f := openFile(t, c, path, rd)
	refusal := errors.New("the host is down")
	srv.Refuse(refusal)
	bounded, cancel := c.Bounded(context.Background())
	defer cancel()
	srv.Cut()
	patient := make(chan error, 1)
	go func() {
		_, err := c.Lstat(Patient(limited(t)), path)
		patient <- err
	}()
	if _, err := c.Lstat(limited(t), path); !errors.Is(err, ErrUnreachable) || !errors.Is(err, refusal) {
		t.Errorf("a request that waited: %v", err)
	}
	begun := time.Now()
	if _, err := f.ReadAt(limited(t), make([]byte, 1), 0); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a read afterwards: %v", err)
	}
	if time.Since(begun) > 5*time.Second {
		t.Error("a new request waited although the server is known to be away")
	}
	select {
	case <-bounded.Done():
		if err := context.Cause(bounded); !errors.Is(err, ErrUnreachable) {
			t.Errorf("the bounded context ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the bounded context goes on")
	}
	late, cancelLate := c.Bounded(context.Background())
	defer cancelLate()
	if !errors.Is(context.Cause(late), ErrUnreachable) {
		t.Errorf("a bounded context made afterwards: %v", context.Cause(late))
	}
	eventually(t, "the patient request is the one that waits", func() bool { return c.Status().Waiting == 1 })
	if s := c.Status(); s.Connected || !s.GaveUp || s.LastError != refusal.Error() || s.NextTry.IsZero() {
		t.Errorf("%+v", s)
	}
	srv.Refuse(nil)
	c.Kick()
	if err := <-patient; err != nil {
		t.Errorf("a patient request: %v", err)
	}
	if n, err := f.ReadAt(limited(t), make([]byte, 1), 0); err != nil || n != 1 {
		t.Errorf("a read when the line is back: %d, %v", n, err)
	}
}

// lockedCtx has values that are guarded by a lock, which whoever has made the context holds over calls of c.
type lockedCtx struct {
	context.Context
	t *testing.T
	c *Conn
}

func (x lockedCtx) Value(key any) any {
	for end := time.Now().Add(5 * time.Second); !x.c.mu.TryLock(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			x.t.Error("asked with Conn.mu held")
			return x.Context.Value(key)
		}
	}
	x.c.mu.Unlock()
	return x.Context.Value(key)
}

func TestAContextIsAskedForItsValuesWithNoLockHeld(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv, func(o *Options) { o.ReconnectTimeout = 300 * time.Millisecond })
	srv.Refuse(errors.New("the host is down"))
	srv.Cut()
	eventually(t, "it has given up", func() bool { return c.Status().GaveUp })
	if _, err := c.Lstat(lockedCtx{limited(t), t, c}, "/"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestNoReconnectMakesTheFirstLossFinal(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv, func(o *Options) { o.NoReconnect = true })
	srv.Cut()
	if _, err := c.Lstat(Patient(limited(t)), "/"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
	if s := c.Status(); s.Connected || s.LastError == "" || !s.GaveUp || srv.Dials() != 1 {
		t.Errorf("%+v after %d dials", s, srv.Dials())
	}
}

func TestARefusedLoginIsTriedRarely(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	srv.Refuse(&transport.PermanentError{Err: errors.New("key refused")})
	srv.Cut()
	eventually(t, "it is tried once", func() bool { return srv.Dials() == 2 && c.Status().LastError == "key refused" })
	if s := c.Status(); time.Until(s.NextTry) < 20*time.Second {
		eventually(t, "the next try is far", func() bool { return time.Until(c.Status().NextTry) > 20*time.Second })
	}
	srv.Refuse(nil)
	c.Kick()
	if _, err := c.Lstat(limited(t), "/"); err != nil {
		t.Error(err)
	}
}

func TestTheFirstLoginTellsItsError(t *testing.T) {
	srv := sftptest.New(t)
	why := errors.New("no such host")
	srv.Refuse(why)
	if _, err := New(limited(t), Options{Dial: srv.Dial}); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	talk := sftptest.New(t, sftptest.Command("/bin/echo", "Welcome to this host"))
	if _, err := New(limited(t), Options{Dial: talk.Dial}); err == nil || !strings.Contains(err.Error(), "Welcome") {
		t.Errorf("%v", err)
	}
	if n := talk.Connections(); n != 0 {
		t.Errorf("%d connections left", n)
	}
}
