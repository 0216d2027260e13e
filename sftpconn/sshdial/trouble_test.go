package sshdial

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// By this word servers tell in which order the arguments of SYMLINK come.
func TestTheClientCallsItselfLikeOpenSSH(t *testing.T) {
	called := make(chan string, 1)
	port := listener(t, func(c net.Conn) {
		c.Write([]byte("SSH-2.0-Curious\r\n"))
		line, _ := bufio.NewReader(c).ReadString('\n')
		called <- line
	})
	refused(t, noServer(port, time.Minute))
	if line := <-called; !strings.HasPrefix(line, "SSH-2.0-sshmount") || !strings.Contains(line, "OpenSSH") {
		t.Errorf("the client calls itself %q", line)
	}
}

func TestTroubleIsToldInALine(t *testing.T) {
	limit := time.Minute
	t.Run("unknown host", func(t *testing.T) {
		o := noServer(22, limit)
		o.Host = "no-such-host.invalid"
		msg, _ := refused(t, o)
		says(t, msg, "no-such-host.invalid")
	})
	t.Run("port refused", func(t *testing.T) {
		port := freePort(t)
		msg, err := refused(t, noServer(port, limit))
		says(t, msg, "127.0.0.1", "refused the connection", o2s(port))
		if isPermanent(err) {
			t.Error("permanent, although a server may come up")
		}
	})
	t.Run("no SSH server", func(t *testing.T) {
		port := listener(t, func(c net.Conn) { c.Write([]byte("220 mail.example ESMTP\r\n")) })
		msg, err := refused(t, noServer(port, limit))
		says(t, msg, "no SSH server", `"220 mail.example ESMTP"`)
		if isPermanent(err) {
			t.Error("permanent, although it may be a captive portal")
		}
	})
	t.Run("closes at once", func(t *testing.T) {
		port := listener(t, func(c net.Conn) {})
		msg, err := refused(t, noServer(port, limit))
		says(t, msg, "closed the connection before it said anything")
		if isPermanent(err) {
			t.Error("permanent, although the server may only be busy")
		}
	})
	t.Run("silent", func(t *testing.T) {
		port := listener(t, untilClosed)
		msg, _ := refused(t, noServer(port, 300*time.Millisecond))
		says(t, msg, "said nothing for 300ms", "is it an SSH server?")
	})
	t.Run("talks and then falls silent", func(t *testing.T) {
		port := listener(t, func(c net.Conn) {
			c.Write([]byte("SSH-2.0-Tired\r\n"))
			untilClosed(c)
		})
		msg, _ := refused(t, noServer(port, 3*time.Second))
		says(t, msg, "SSH-2.0-Tired", "said nothing for 3s")
	})
	for _, end := range []string{"closes", "waits"} {
		t.Run("speaks version 1 alone and "+end, func(t *testing.T) {
			port := listener(t, func(c net.Conn) {
				c.Write([]byte("SSH-1.5-OpenSSH_3.9p1\n"))
				if end == "waits" {
					untilClosed(c)
				}
			})
			msg, err := refused(t, noServer(port, 300*time.Millisecond))
			says(t, msg, "version 1 of the SSH protocol", "SSH-1.5-OpenSSH_3.9p1", "version 2")
			if isPermanent(err) {
				t.Error("permanent, although another server may answer there in another network")
			}
		})
	}
	t.Run("talks nonsense after the greeting", func(t *testing.T) {
		port := listener(t, func(c net.Conn) {
			c.Write([]byte("SSH-2.0-Odd\r\n" + strings.Repeat("nonsense", 100)))
			untilClosed(c)
		})
		msg, _ := refused(t, noServer(port, limit))
		says(t, msg, "setting up encryption")
	})
	t.Run("gives up by the caller's wish", func(t *testing.T) {
		port := listener(t, untilClosed)
		d, err := New(ctxOf(t), noServer(port, limit))
		if err != nil {
			t.Fatal(err)
		}
		wish := errors.New("enough")
		ctx, cancel := context.WithCancelCause(ctxOf(t))
		time.AfterFunc(100*time.Millisecond, func() { cancel(wish) })
		if _, err := d.Dial(ctx); !errors.Is(err, wish) {
			t.Errorf("%v", err)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		msg, err := refused(t, noServer(deafPort(t), 400*time.Millisecond))
		says(t, msg, "no answer from 127.0.0.1", "within 400ms")
		if isPermanent(err) {
			t.Error("permanent, although the network may come back")
		}
	})
}

func TestPatienceStandsStillDuringAQuestion(t *testing.T) {
	ended := false
	p := newPatience(time.Hour, func() { ended = true })
	defer p.stop()
	p.pause()
	p.until = time.Now().Add(-time.Minute) // the user took his time
	p.ring()
	if ended {
		t.Fatal("the time was up during a question")
	}
	p.resume()
	if left := time.Until(p.until); left < 30*time.Minute {
		t.Errorf("only %v were left after the question", left)
	}
	p.until = time.Now().Add(-time.Minute)
	p.ring()
	if !ended || !p.stop() {
		t.Error("the time was never up")
	}
}

func TestServerThatIsBusyIsTriedAgain(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "MaxStartups 1")
	// Somebody else is logging in, and takes his time.
	deadline := time.Now().Add(30 * time.Second)
	for {
		c, err := net.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		greeting := make([]byte, 4)
		if _, err := io.ReadFull(c, greeting); err == nil && string(greeting) == "SSH-" {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("sshd takes no connection")
		}
		time.Sleep(20 * time.Millisecond)
	}
	msg, err := refused(t, s.options(t, key))
	says(t, msg, "no further logins at the moment", "MaxStartups")
	if isPermanent(err) {
		t.Error("permanent")
	}
}

func TestBadNamesAreRefusedBeforeAnythingRuns(t *testing.T) {
	for _, o := range []Options{
		{Host: "-oProxyCommand=touch /tmp/x"}, {Host: "-v"}, {Host: ""}, {Host: "a b"}, {Host: "a\nb"},
		{Host: "h", User: "-x"}, {Host: "h", Port: "0"}, {Host: "h", Port: "65536"}, {Host: "h", Port: "x"},
		{Host: "-h", DirectPort: "1"}, {Host: "h", VSock: "1"}, {Host: "h", VSock: "x:y"},
		{Host: "h", SSHCommand: "  "}, {Host: "h", SSHOptions: []string{"NoSuchOption=1"}},
		{Host: "h", ConfigFile: "/nonexistent/config"}, {Host: "h", SSHOptions: []string{"ProxyJump=-v"}},
	} {
		_, err := New(ctxOf(t), o)
		if err == nil || !isPermanent(err) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	// An alias that the configuration turns into an option is refused as well.
	_, err := New(ctxOf(t), Options{Host: "h", ConfigFile: config(t, "Host h", "HostName -oProxyCommand=x")})
	if err == nil {
		t.Error("a HostName that is an option was taken")
	}
}

// A ProxyCommand hands both to a shell, and the configuration is also read by what lets everything through.
func TestWhatAShellWouldRunIsNoHostAndNoUser(t *testing.T) {
	for _, bad := range []string{"$(id)", "`id`", "a;id", "a|id", "a&id", "a>b", "a<b", "'a", `"a`, `a\`, "{a}"} {
		for _, given := range []target{{host: bad}, {host: "h", user: bad}} {
			if _, err := (configSource{}).resolve(ctxOf(t), given); err == nil || !isPermanent(err) {
				t.Errorf("%+v: %v", given, err)
			}
		}
	}
	for _, good := range []target{{host: "fe80::1%eth0", user: "a.b@c"}, {host: "[::1]", user: `domain\user$`}, {host: "host_1.example"}} {
		if _, err := (configSource{}).resolve(ctxOf(t), good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

func TestNoCommonAlgorithm(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "KexAlgorithms sntrup761x25519-sha512@openssh.com")
	o := s.options(t, key)
	t.Run("without ssh", func(t *testing.T) {
		d, err := New(ctxOf(t), o)
		if err != nil {
			t.Fatal(err)
		}
		d.ssh = ""
		_, err = d.Dial(ctxOf(t))
		if err == nil {
			t.Fatal("logged in")
		}
		says(t, err.Error(), "key exchange", "in common", "sntrup761x25519-sha512@openssh.com", "curve25519-sha256")
	})
	t.Run("ssh takes over", func(t *testing.T) {
		tr := dial(t, o)
		if tr.Info().Client != "ssh" {
			t.Errorf("%+v", tr.Info())
		}
		speaksSFTP(t, tr)
	})
}

func TestWhatIsQuotedInAMessageIsPrintable(t *testing.T) {
	if got := clip("a\x1bb\u009bc\x7fd\x9be\n", 100); got != "a b c d\ufffde" {
		t.Errorf("%q", got)
	}
	if got := listOf([]string{"a", "\u009b2J", strings.Repeat("x", 1<<20)}); strings.Contains(got, "\u009b") || len(got) > 2*listMost {
		t.Errorf("%q", got[:100])
	}
}
