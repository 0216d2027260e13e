package sshdial

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// booting is what systemd has pam_nologin say.
const booting = "System is booting up. Unprivileged users are not permitted to log in yet. Please come back later. For technical details, see pam_nologin(8)."

// A server that has just started refuses everybody for some seconds, in which mounts come back to it. The password is right all the same.
func TestAServerThatIsBootingDoesNotMakeAKeptPasswordWrong(t *testing.T) {
	for _, tries := range []int{20, 1} {
		for _, how := range []string{"given", "given to ssh", "typed"} {
			var boots atomic.Bool
			o := passwordServer(t, &ssh.ServerConfig{KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				a, err := ask("", "", []string{"Password: "}, []bool{false})
				switch {
				case err != nil:
					return nil, err
				case a[0] != "right":
					return nil, errors.New("wrong")
				case boots.Load():
					ask("", booting+"\n", nil, nil)
					return nil, errors.New("no login")
				}
				return nil, nil
			}, MaxAuthTries: tries})
			switch how {
			case "given to ssh":
				o.SSHCommand = "ssh"
				fallthrough
			case "given":
				o.Password = []byte("right")
			default:
				o.Prompt = &fakeUser{answers: [][2]string{{"", "right"}}}
			}
			d, err := New(ctxOf(t), o)
			if err != nil {
				t.Fatal(err)
			}
			logsIn := func() {
				if o.SSHCommand == "" {
					dialWith(t, d)
				} else {
					dialInVain(t, d, "nothing here") // the server gives no session, and ssh reports that alone
				}
			}
			logsIn()
			boots.Store(true)
			for range 2 {
				_, err = d.Dial(ctxOf(t))
				if refusal, ok := errors.AsType[*transport.PermanentError](err); !ok || refusal.Login {
					t.Fatalf("%v", err)
				}
				says(t, err.Error(), "booting up")
			}
			boots.Store(false)
			logsIn()
		}
	}
}

func TestBannerIsShown(t *testing.T) {
	o := passwordServer(t, &ssh.ServerConfig{
		PasswordCallback: checkPassword("right"),
		BannerCallback:   func(ssh.ConnMetadata) string { return "Authorised\x1b[2J users only\n" },
	})
	u := &fakeUser{answers: [][2]string{{"", "right"}}}
	o.Prompt = u
	dial(t, o)
	says(t, u.heard(), "Authorised[2J users only")
}

func TestWhatTheServerSaysOfARefusalIsToldWithoutATerminal(t *testing.T) {
	o := passwordServer(t, &ssh.ServerConfig{
		KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			if _, err := ask("", "", []string{"Password: "}, []bool{false}); err != nil {
				return nil, err
			}
			ask("", "The account is locked due to 3 failed logins.\n", nil, nil)
			return nil, errors.New("locked")
		},
		BannerCallback: func(ssh.ConnMetadata) string { return "Authorised users only\n" },
	})
	o.Password = []byte("right")
	msg, _ := refused(t, o)
	says(t, msg, `the server says "The account is locked due to 3 failed logins."`)
}

// sshd ends the connection where a login that has succeeded is not let in, and says why only to who looks at a terminal.
func TestWhatTheServerSaysBeforeItEndsALoginIsTold(t *testing.T) {
	o := passwordServer(t, &ssh.ServerConfig{
		PasswordCallback: func(c ssh.ConnMetadata, _ []byte) (*ssh.Permissions, error) {
			c.(ssh.ServerPreAuthConn).SendAuthBanner(booting + "\n")
			c.(ssh.Conn).Close()
			return nil, errors.New("no login")
		},
	})
	o.Password = []byte("right")
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = d.Dial(ctxOf(t)); err == nil || isPermanent(err) {
		t.Fatalf("%v", err)
	}
	says(t, err.Error(), "booting up")
}

// saying is the end of a channel on which the server has sent text.
type saying struct {
	ssh.Channel
	text io.Reader
}

func (s saying) Read(p []byte) (int, error) { return s.text.Read(p) }

// sshd takes the key of an account whose password has expired, and ends the session: why, it says at the end of the login alone.
func TestWhatTheServerSaysAtTheEndOfALoginTellsWhyASessionEndsBeforeItBegins(t *testing.T) {
	const expired = "You are required to change your password immediately."
	o := passwordServer(t, &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, _ []byte) (*ssh.Permissions, error) {
		return nil, c.(ssh.ServerPreAuthConn).SendAuthBanner(expired + "\n")
	}})
	o.Password = []byte("right")
	tr := dial(t, o).(*sshTransport)
	c := &sshChannel{Channel: saying{text: strings.NewReader("VERSION")}, transport: tr}
	if said := c.Remarks(); said != expired {
		t.Errorf("%q", said)
	}
	if _, err := c.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if said := c.Remarks(); said != "" {
		t.Errorf("the end of a session that has begun is put down to %q", said)
	}
}
