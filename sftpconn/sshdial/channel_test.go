package sshdial

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"sshmount/sftpconn/transport"
)

func TestMaxSessionsGivesNoMoreChannels(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "MaxSessions 2")
	tr := dial(t, s.options(t, key))
	a := speaksSFTP(t, tr)
	b := speaksSFTP(t, tr)
	if _, err := tr.OpenChannel(ctxOf(t)); !errors.Is(err, transport.ErrNoMoreChannels) || isPermanent(err) {
		t.Errorf("third channel: %v", err)
	}
	// Those that are open stay good, and one that is closed makes room.
	greetAgain(t, a)
	b.Close()
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := tr.OpenChannel(ctxOf(t)); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no channel after one was closed")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// greetAgain asks an SFTP server for the real path of /.
func greetAgain(t *testing.T, ch transport.Channel) {
	t.Helper()
	if _, err := ch.Write([]byte("\x00\x00\x00\x0a\x10\x00\x00\x00\x01\x00\x00\x00\x01/")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4<<10)
	for got := 0; got < len(buf); {
		n, err := ch.Read(buf[got:])
		if err != nil {
			t.Fatal(err)
		}
		if got += n; strings.Contains(string(buf[:got]), "\x68\x00\x00\x00\x01") {
			return
		}
	}
	t.Fatal("no NAME in the answer")
}

func TestNoSessionAtAll(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "MaxSessions 0")
	tr := dial(t, s.options(t, key))
	_, err := tr.OpenChannel(ctxOf(t))
	if !errors.Is(err, transport.ErrNoMoreChannels) || !isPermanent(err) {
		t.Errorf("%v", err)
	}
	says(t, err.Error(), "opens no session")
}

func TestNoSubsystem(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	o := s.options(t, key)
	o.SFTPServer = "no-such-thing"
	_, err := dial(t, o).OpenChannel(ctxOf(t))
	if !errors.Is(err, errNoSubsystem) || !isPermanent(err) {
		t.Fatalf("%v", err)
	}
	says(t, err.Error(), "no-such-thing", "sftp_server=")
}

func TestServerByPath(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "Subsystem other /bin/false")
	o := s.options(t, key)
	o.SFTPServer = sftpServer
	speaksSFTP(t, dial(t, o))

	o.SFTPServer = "/nonexistent/sftp-server"
	ch, err := dial(t, o).OpenChannel(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ch.Read(make([]byte, 1))
	if !errors.Is(err, io.EOF) {
		t.Fatalf("%v", err)
	}
	says(t, err.Error(), "exit status 127")
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(ch.Remarks(), "/nonexistent/sftp-server") {
		if time.Now().After(deadline) {
			t.Fatalf("the remarks are %q", ch.Remarks())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestForceCommandAnswersInstead(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "ForceCommand echo only this; echo and a remark >&2")
	ch, err := dial(t, s.options(t, key)).OpenChannel(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(ch)
	if err != nil || string(said) != "only this\n" {
		t.Errorf("%q, %v", said, err)
	}
}

func TestManyChannelsAtOnceAndProbes(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	tr := dial(t, s.options(t, key))
	before := tr.LastReceived()
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			ch, err := tr.OpenChannel(ctxOf(t))
			if err != nil {
				t.Error(err)
				return
			}
			greet(t, ch)
		})
		wait.Go(func() {
			if err := tr.Probe(ctxOf(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if !tr.LastReceived().After(before) {
		t.Error("nothing was received, it says")
	}
}

func TestServerThatDiesEndsTheTransport(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	tr := dial(t, s.options(t, key))
	ch := speaksSFTP(t, tr)
	tr.(*sshTransport).line.Conn.Close() // as a reset would
	_, err := ch.Read(make([]byte, 1))
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("reading from a lost line gives %v", err)
	}
	<-tr.Done()
	if tr.Err() == nil || isPermanent(tr.Err()) {
		t.Errorf("%v", tr.Err())
	}
	if err := tr.Probe(ctxOf(t)); err == nil {
		t.Error("a probe of a lost line was answered")
	}
	if _, err := tr.OpenChannel(ctxOf(t)); err == nil || isPermanent(err) {
		t.Errorf("a channel of a lost line: %v", err)
	}
	if _, err := ch.Write([]byte("x")); err == nil {
		t.Error("wrote to a lost line")
	}
}

func TestCloseDoesNotWaitForASilentPeer(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	gate := newGate(t, s.address())
	o := s.options(t, key, "HostKeyAlias=[127.0.0.1]:"+o2s(s.port))
	o.Port = o2s(gate.port)
	tr := dial(t, o)
	ch := speaksSFTP(t, tr)
	gate.stall()
	// Fill the line until nothing goes any more.
	stuck := make(chan error, 1)
	go func() {
		block := make([]byte, 256<<10)
		copy(block, "\x00\x03\xff\xfc\x01")
		for {
			if _, err := ch.Write(block); err != nil {
				stuck <- err
				return
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := tr.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a probe of a stalled line: %v", err)
	}
	opening, cancelOpening := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancelOpening()
	if _, err := tr.OpenChannel(opening); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a channel of a stalled line: %v", err)
	}
	ch.Close()
	closeTransport(t, tr)
	select {
	case <-stuck:
	case <-time.After(20 * time.Second):
		t.Error("a write is still stuck after Close")
	}
}
