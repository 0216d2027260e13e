package sshdial

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// Where a password changes on the server, the old one must not be sent for ever: that locks accounts.
func TestAKeptPasswordThatIsRefusedIsNotSentAgain(t *testing.T) {
	var changed atomic.Bool
	var sent atomic.Int32
	check := func(p string) error {
		sent.Add(1)
		if p == "right" && !changed.Load() {
			return nil
		}
		return errors.New("wrong")
	}
	servers := map[string]*ssh.ServerConfig{
		"password": {PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			return nil, check(string(p))
		}, MaxAuthTries: 20},
		"keyboard-interactive": {KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			a, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil {
				return nil, err
			}
			return nil, check(a[0])
		}, MaxAuthTries: 20},
		"one try": {PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			return nil, check(string(p))
		}, MaxAuthTries: 1},
	}
	for name, config := range servers {
		for _, given := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				changed.Store(false)
				o := passwordServer(t, config)
				if given {
					o.Password = []byte("right")
				} else {
					o.Prompt = &fakeUser{answers: [][2]string{{"", "right"}}}
				}
				d, err := New(ctxOf(t), o)
				if err != nil {
					t.Fatal(err)
				}
				dialWith(t, d)
				dialWith(t, d)
				changed.Store(true)
				sent.Store(0)
				for range 3 {
					if _, err = d.Dial(ctxOf(t)); err == nil || !isPermanent(err) {
						t.Fatalf("%v", err)
					}
					// Already at the first: the next attempt, in a minute, is none that could succeed.
					says(t, err.Error(), "login as anna", "the kept password was refused", "mount again")
				}
				if n := sent.Load(); n != 1 {
					t.Errorf("the old password was sent %d times", n)
				}
			})
		}
	}
}

// A line that breaks says nothing of the password.
func TestAKeptPasswordOutlastsABrokenLine(t *testing.T) {
	var broken atomic.Bool
	var line atomic.Pointer[net.TCPConn]
	o := passwordServer(t, &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		if broken.Load() {
			line.Load().SetLinger(0)
			line.Load().Close()
			return nil, errors.New("it never arrives")
		}
		return checkPassword("right")(c, p)
	}})
	inner := o.Port
	o.Port = o2s(listener(t, func(c net.Conn) {
		line.Store(c.(*net.TCPConn))
		server, err := net.Dial("tcp", "127.0.0.1:"+inner)
		if err != nil {
			return
		}
		go func() {
			io.Copy(server, c)
			server.Close()
		}()
		io.Copy(c, server)
	}))
	o.Password = []byte("right")
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	dialWith(t, d)
	broken.Store(true)
	if _, err := d.Dial(ctxOf(t)); err == nil || isPermanent(err) {
		t.Fatalf("%v", err)
	}
	broken.Store(false)
	dialWith(t, d)
}

func TestAGivenPasswordThatIsRefusedIsNotSentBySSHAgain(t *testing.T) {
	var sent atomic.Int32
	o := passwordServer(t, &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
		sent.Add(1)
		return nil, errors.New("wrong")
	}, MaxAuthTries: 20})
	o.SSHCommand, o.Password = "ssh", []byte("wrong")
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err = d.Dial(ctxOf(t)); err == nil || !isPermanent(err) {
			t.Fatalf("%v", err)
		}
	}
	says(t, err.Error(), "the kept password was refused", "mount again")
	if n := sent.Load(); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// A server may limit logins, or take a code once: the connection that is there must not lose what it needs to come back.
func TestAFurtherLoginThatIsRefusedLeavesWhatIsKept(t *testing.T) {
	var limit atomic.Bool
	check := func(p string) error {
		if p == "right" && !limit.Load() {
			return nil
		}
		return errors.New("wrong")
	}
	for _, command := range []string{"", "ssh"} {
		o := passwordServer(t, &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			return nil, check(string(p))
		}, MaxAuthTries: 20})
		o.Password, o.SSHCommand = []byte("right"), command
		d, err := New(ctxOf(t), o)
		if err != nil {
			t.Fatal(err)
		}
		limit.Store(true)
		if _, err := d.Dial(transport.Further(ctxOf(t))); err == nil || !isPermanent(err) {
			t.Fatalf("%v", err)
		}
		if d.route.past.kept.wasRefused() || command == "" && !d.route.past.kept.hasPassword() {
			t.Errorf("%q: the password is forgotten", command)
		}
		limit.Store(false)
		if command == "" {
			dialWith(t, d)
		}
	}
}
