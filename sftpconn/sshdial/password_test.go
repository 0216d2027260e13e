package sshdial

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// passwordServer is an SSH server in this process, as sshd can't check passwords
// without the system's users. It logs in and offers nothing.
func passwordServer(t *testing.T, config *ssh.ServerConfig) Options {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config.AddHostKey(signer)
	port := listener(t, func(c net.Conn) {
		conn, channels, requests, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for ch := range channels {
			ch.Reject(ssh.Prohibited, "nothing here")
		}
		conn.Wait()
	})
	return Options{
		Host: "127.0.0.1", Port: o2s(port), User: "anna", ConfigFile: "none", ConnectTimeout: 30 * time.Second,
		SSHOptions: []string{"StrictHostKeyChecking=accept-new", "IdentityFile=none", "IdentityAgent=none",
			"UserKnownHostsFile=" + filepath.Join(t.TempDir(), "kh"), "GlobalKnownHostsFile=none"},
	}
}

func checkPassword(want string) func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
	return func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		if string(p) != want {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}
}

func TestPassword(t *testing.T) {
	serve := func(t *testing.T) Options {
		return passwordServer(t, &ssh.ServerConfig{PasswordCallback: checkPassword("right"), MaxAuthTries: 20})
	}
	t.Run("typed, at the second try", func(t *testing.T) {
		o := serve(t)
		u := &fakeUser{answers: [][2]string{{"", "wrong"}, {"anna@127.0.0.1", "right"}}}
		o.Prompt = u
		d, err := New(ctxOf(t), o)
		if err != nil {
			t.Fatal(err)
		}
		if m := dialWith(t, d).Info().AuthMethod; m != "password" {
			t.Error(m)
		}
		askedTimes(t, u, 2)
		if slices.Contains(u.echoed, true) {
			t.Error("the password was shown")
		}
		dialWith(t, d) // and again, without a question
		askedTimes(t, u, 2)
		d.Forget()
		if _, err := d.Dial(ctxOf(t)); err == nil || !isPermanent(err) {
			t.Errorf("after Forget: %v", err)
		}
	})
	t.Run("given beforehand", func(t *testing.T) {
		o := serve(t)
		given := []byte("right")
		o.Password = given
		d, err := New(ctxOf(t), o)
		clear(given)
		if err != nil {
			t.Fatal(err)
		}
		dialWith(t, d)
		dialWith(t, d)
	})
	t.Run("given, and wrong", func(t *testing.T) {
		o := serve(t)
		o.Password = []byte("hush-hush")
		msg, err := refused(t, o)
		says(t, msg, "login as anna", "tried password", "check user name and password")
		if !isPermanent(err) || strings.Contains(msg, "hush") {
			t.Errorf("%v", err)
		}
	})
	t.Run("wrong too often", func(t *testing.T) {
		o := serve(t)
		u := &fakeUser{answers: [][2]string{{"", "a"}, {"", "b"}, {"", "c"}}}
		o.Prompt = u
		o.SSHOptions = append(o.SSHOptions, "NumberOfPasswordPrompts=2")
		msg, _ := refused(t, o)
		says(t, msg, "password (2 times)")
		askedTimes(t, u, 2)
	})
	t.Run("nobody to ask", func(t *testing.T) {
		msg, _ := refused(t, serve(t))
		says(t, msg, "server accepts password", "cannot be asked for without a terminal")
	})
	t.Run("BatchMode", func(t *testing.T) {
		o := serve(t)
		u := &fakeUser{}
		o.Prompt = u
		o.SSHOptions = append(o.SSHOptions, "BatchMode=yes")
		refused(t, o)
		askedTimes(t, u, 0)
	})
	t.Run("switched off", func(t *testing.T) {
		o := serve(t)
		o.Password = []byte("right")
		for option, value := range map[string]string{"PasswordAuthentication": "no", "PreferredAuthentications": "publickey"} {
			off := o
			off.SSHOptions = append(slices.Clone(o.SSHOptions), option+"="+value)
			msg, _ := refused(t, off)
			says(t, msg, option)
			if strings.Contains(msg, "password_stdin") || strings.Contains(msg, "check user name and password") {
				t.Errorf("a password that would not be tried is asked for: %s", msg)
			}
		}
	})
	t.Run("not given to a server whose key has changed", func(t *testing.T) {
		o := serve(t)
		other := keygen(t, t.TempDir(), "other", "ed25519", "")
		kh := knownAs(t, "[127.0.0.1]:"+o.Port+" "+publicPart(t, other))
		o.SSHOptions = append([]string{"StrictHostKeyChecking=no", "UserKnownHostsFile=" + kh}, o.SSHOptions...)
		o.Password = []byte("right")
		u := &fakeUser{}
		o.Prompt = u
		msg, _ := refused(t, o)
		says(t, msg, "no password is given")
		askedTimes(t, u, 0)
	})
}

// interview is a keyboard-interactive server with several rounds.
func interview(rounds [][]string, right []string) func(ssh.ConnMetadata, ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	return func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		var got []string
		for i, questions := range rounds {
			answers, err := ask("round", "please", questions, make([]bool, len(questions)))
			if err != nil {
				return nil, err
			}
			got = append(got, answers...)
			_ = i
		}
		if _, err := ask("", "", nil, nil); err != nil {
			return nil, err
		}
		if !slices.Equal(got, right) {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}
}

func TestKeyboardInteractive(t *testing.T) {
	t.Run("several rounds", func(t *testing.T) {
		o := passwordServer(t, &ssh.ServerConfig{KeyboardInteractiveCallback: interview(
			[][]string{{"Password: "}, {"Code: ", "Colour: "}}, []string{"pw", "123", "blue"}), MaxAuthTries: 20})
		u := &fakeUser{answers: [][2]string{
			{"Password", "mistyped"}, {"Code", "123"}, {"Colour", "blue"},
			{"Password", "pw"}, {"Code", "123"}, {"Colour", "blue"}}}
		o.Prompt = u
		d, err := New(ctxOf(t), o)
		if err != nil {
			t.Fatal(err)
		}
		if m := dialWith(t, d).Info().AuthMethod; m != "keyboard-interactive" {
			t.Error(m)
		}
		askedTimes(t, u, 6)
		says(t, u.heard(), "please")
		dialWith(t, d)
		askedTimes(t, u, 6)
	})
	t.Run("password given beforehand", func(t *testing.T) {
		o := passwordServer(t, &ssh.ServerConfig{KeyboardInteractiveCallback: interview(
			[][]string{{"Password: "}}, []string{"pw"})})
		o.Password = []byte("pw")
		d, err := New(ctxOf(t), o)
		if err != nil {
			t.Fatal(err)
		}
		dialWith(t, d)
		dialWith(t, d)
	})
	t.Run("another code each time", func(t *testing.T) {
		codes := []string{"1", "2"}
		o := passwordServer(t, &ssh.ServerConfig{KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			a, err := ask("", "", []string{"Code: "}, []bool{true})
			if err != nil || a[0] != codes[0] {
				return nil, errors.New("wrong")
			}
			codes = codes[1:]
			return nil, nil
		}})
		u := &fakeUser{answers: [][2]string{{"Code", "1"}}}
		o.Prompt = u
		d, err := New(ctxOf(t), o)
		if err != nil {
			t.Fatal(err)
		}
		dialWith(t, d)
		if !slices.Equal(u.echoed, []bool{true}) {
			t.Error("the code was not shown")
		}
		for _, tried := range []string{"keyboard-interactive", "nothing"} {
			_, err = d.Dial(ctxOf(t))
			if err == nil || !isPermanent(err) {
				t.Fatalf("%v", err)
			}
			says(t, err.Error(), "tried "+tried, "a one-time code is good only once", "mount again")
		}
	})
}

func TestKeyAndThenPassword(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	o := passwordServer(t, &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{
				KeyboardInteractiveCallback: interview([][]string{{"Token: "}}, []string{"42"}),
			}}
		},
	})
	o.SSHOptions = append([]string{"IdentityFile=" + key}, o.SSHOptions...)
	u := &fakeUser{answers: [][2]string{{"Token", "42"}}}
	o.Prompt = u
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	dialWith(t, d)
	dialWith(t, d)
	askedTimes(t, u, 1)
}

func TestALineThatBreaksDuringTheLoginRefusesNobody(t *testing.T) {
	var raw atomic.Pointer[net.TCPConn]
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
		c := raw.Load()
		c.SetLinger(0)
		c.Close()
		return nil, errors.New("the line is gone")
	}}
	o := passwordServer(t, config)
	// The server's end of the connection is reached by a listener in between.
	inner := o.Port
	o.Port = o2s(listener(t, func(c net.Conn) {
		raw.Store(c.(*net.TCPConn))
		server, err := net.Dial("tcp", "127.0.0.1:"+inner)
		if err != nil {
			return
		}
		defer server.Close()
		go io.Copy(server, c)
		io.Copy(c, server)
	}))
	o.SSHOptions = append([]string{"IdentityFile=" + keygen(t, t.TempDir(), "k", "ed25519", "")}, o.SSHOptions...)
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Dial(ctxOf(t))
	var refusal *transport.PermanentError
	if err == nil || errors.As(err, &refusal) {
		t.Errorf("a broken line is taken for a refusal: %v", err)
	}
}
