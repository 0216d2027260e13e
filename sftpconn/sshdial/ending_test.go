package sshdial

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// endsAtOnce expects a login to end with its context, which is ended when it waits, as waiting says.
func endsAtOnce(t *testing.T, o Options, waiting <-chan struct{}) {
	t.Helper()
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		tr, err := d.Dial(ctx)
		if err == nil {
			tr.Close()
		}
		failed <- err
	}()
	select {
	case <-waiting:
	case err := <-failed:
		t.Fatalf("failed before: %v", err)
	}
	cancel()
	select {
	case err := <-failed:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the login goes on after the end of its context")
	}
}

// The jump host that should end the channel can't be reached any more.
func TestTheEndOfTheContextEndsALoginThroughAJumpHost(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	jump := startServer(t, []string{key})
	g := newGate(t, jump.address())
	waiting := make(chan struct{}, 1)
	far := &server{hostKey: jump.hostKey, port: listener(t, func(c net.Conn) {
		if _, err := c.Read(make([]byte, 1)); err != nil { // the client's greeting; there is no answer
			return
		}
		g.stall()
		waiting <- struct{}{}
		// The end of the connection may be stalled, too: what the client still wrote can be on its way in the gate before it.
		<-t.Context().Done()
	})}
	behind := *jump
	behind.port = g.port
	endsAtOnce(t, Options{Host: "far", ConnectTimeout: time.Hour, ConfigFile: config(t,
		behind.hostBlock(t, "jump", key), far.hostBlock(t, "far", key, "ProxyJump jump"))}, waiting)
}

// slowAgent has one key, and is asked for a signature once, which it does not give.
type slowAgent struct {
	agent.ExtendedAgent
	asked, release chan struct{}
}

func (a *slowAgent) SignWithFlags(ssh.PublicKey, []byte, agent.SignatureFlags) (*ssh.Signature, error) {
	a.asked <- struct{}{}
	<-a.release
	return nil, errors.New("not confirmed")
}

func TestTheEndOfTheContextEndsALoginThatWaitsForTheAgent(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	raw, err := ssh.ParseRawPrivateKey([]byte(read(t, key)))
	if err != nil {
		t.Fatal(err)
	}
	a := &slowAgent{agent.NewKeyring().(agent.ExtendedAgent), make(chan struct{}, 1), make(chan struct{})}
	if err := a.Add(agent.AddedKey{PrivateKey: raw}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(filepath.Dir(masterSocket(t)), "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		agent.ServeAgent(a, c)
	}()
	t.Cleanup(func() {
		close(a.release)
		l.Close()
		<-served
	})
	o := s.options(t, key, "IdentityAgent="+socket)
	o.SSHOptions = append([]string{"IdentitiesOnly=no", "IdentityFile=none"}, o.SSHOptions...)
	endsAtOnce(t, o, a.asked)
}
