package session

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
	"sshmount/sftpconn/transport"
)

// refusal opens a session with a shell command in the place of the server, and gives the error.
func refusal(t *testing.T, script string) error {
	t.Helper()
	srv := sftptest.New(t, sftptest.Command("/bin/sh", "-c", script, sftptest.Program(t)))
	s, err := tryConnect(t, srv)
	if err == nil {
		s.Close()
		t.Fatalf("a session with %q", script)
	}
	return err
}

func TestServerThatTalksFirstIsQuoted(t *testing.T) {
	for name, script := range map[string]string{
		"a refusal":             `printf 'Welcome to the machine'; exit 1`,
		"a line and then SFTP":  `echo "Welcome to the machine"; exec "$0"`,
		"text and then silence": `echo "Welcome to the machine"; exec cat 3>&1 >/dev/null`,
		"text and then the end": `echo "Welcome to the machine"`,
		"in pieces":             `printf We; sleep 0.05; echo "lcome to the machine"; exec cat 3>&1 >/dev/null`,
	} {
		t.Run(name, func(t *testing.T) {
			err := refusal(t, script)
			if !strings.Contains(err.Error(), "Welcome to the machine") || !strings.Contains(err.Error(), ".bashrc") {
				t.Errorf("%v", err)
			}
			if ends := name == "a refusal" || name == "text and then the end"; ends != strings.Contains(err.Error(), "login shell or a command forced") {
				t.Errorf("%v", err)
			}
			var permanent *transport.PermanentError
			if !errors.As(err, &permanent) {
				t.Errorf("%v is not permanent", err)
			}
		})
	}
}

// sshd closes a channel when the program at its far end has ended, whatever this side wants.
func TestServerThatTalksAndGoesOnIsQuoted(t *testing.T) {
	srv := sftptest.New(t, sftptest.Command("/bin/sh", "-c", `echo "Welcome to the machine"; exec sleep 1000`))
	tr, err := srv.Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	ch, err := tr.OpenChannel(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ch.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = Open(ctx, runningChannel{ch}, Options{})
	if err == nil || !strings.Contains(err.Error(), "Welcome to the machine") {
		t.Errorf("%v", err)
	}
}

// runningChannel is not closed before its program has ended.
type runningChannel struct{ transport.Channel }

func (runningChannel) Close() error { return nil }

func TestServerThatSaysLessThanAHeaderAndWaits(t *testing.T) {
	srv := sftptest.New(t, sftptest.Command("/bin/sh", "-c", "printf ok; exec cat >/dev/null"))
	tr, err := srv.Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	ch, err := tr.OpenChannel(within(t))
	if err != nil {
		t.Fatal(err)
	}
	// Two letters are no header, and more may come: only the caller's patience ends the wait.
	ctx, cancel := context.WithCancel(context.Background())
	_, err = Open(ctx, heardChannel{ch, cancel}, Options{})
	if err == nil || !strings.Contains(err.Error(), `"ok"`) {
		t.Errorf("%v", err)
	}
}

// heardChannel calls heard when the first bytes have come.
type heardChannel struct {
	transport.Channel
	heard func()
}

func (c heardChannel) Read(b []byte) (int, error) {
	n, err := c.Channel.Read(b)
	if n > 0 {
		c.heard()
	}
	return n, err
}

func TestServerThatEndsAtOnce(t *testing.T) {
	err := refusal(t, "exit 1")
	if !strings.Contains(err.Error(), "sshd_config") || !strings.Contains(err.Error(), ".bashrc") {
		t.Errorf("%v", err)
	}
	err = refusal(t, "echo 'This account is closed.' >&2; exit 1")
	if !strings.Contains(err.Error(), "This account is closed.") {
		t.Errorf("%v", err)
	}
}

func TestServerOfAnotherKind(t *testing.T) {
	err := refusal(t, `printf '\001\002\003\004\005\006\007\010'; exec cat >/dev/null`)
	if !strings.Contains(err.Error(), "01 02 03 04 05 06 07 08") {
		t.Errorf("%v", err)
	}
}

func TestVersions(t *testing.T) {
	for version, good := range map[byte]bool{0: false, 2: false, 3: true, 6: true} {
		tap := sftptest.NewTap()
		tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "VERSION" {
				return sftptest.ReplaceBody([]byte{0, 0, 0, version})
			}
			return sftptest.Pass()
		})
		s, err := tryConnect(t, sftptest.New(t, sftptest.WithTap(tap)))
		if (err == nil) != good {
			t.Errorf("version %d: %v", version, err)
		}
		if good && outcome(t, s.Lstat(".")) != nil {
			t.Errorf("version %d: no answer", version)
		}
	}
}

func TestBrokenVersionPacket(t *testing.T) {
	for name, body := range map[string][]byte{
		"empty":             {},
		"half a version":    {0, 0},
		"cut extension":     {0, 0, 0, 3, 0, 0, 0, 4, 'a', 'b'},
		"long extension":    {0, 0, 0, 3, 255, 255, 255, 255},
		"name without data": {0, 0, 0, 3, 0, 0, 0, 1, 'a'},
	} {
		tap := sftptest.NewTap()
		tap.OnReply(func(p sftptest.Packet) sftptest.Action { return sftptest.ReplaceBody(body) })
		if _, err := tryConnect(t, sftptest.New(t, sftptest.WithTap(tap))); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestVersionPacketThatIsTooLongIsToldAsSuch(t *testing.T) {
	tap := sftptest.NewTap()
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		const name = "long@example.com"
		body := append([]byte{0, 0, 0, 3, 0, 0, 0, byte(len(name))}, name...)
		data := make([]byte, maxPacketUnasked)
		return sftptest.ReplaceBody(append(binary.BigEndian.AppendUint32(body, uint32(len(data))), data...))
	})
	_, err := tryConnect(t, sftptest.New(t, sftptest.WithTap(tap)))
	if err == nil || !strings.Contains(err.Error(), "VERSION packet has 263197 bytes") {
		t.Errorf("%v", err)
	}
}

func TestOpenObeysItsContext(t *testing.T) {
	srv := sftptest.New(t)
	tr, err := srv.Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	ch, err := tr.OpenChannel(within(t))
	if err != nil {
		t.Fatal(err)
	}
	srv.Freeze()
	why := errors.New("the user has no more patience")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := Open(ctx, ch, Options{}); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}

func TestOpenCostsOneRoundTripAndLimitsRideAlong(t *testing.T) {
	tap := sftptest.NewTap()
	tap.SetDelay(400 * time.Millisecond)
	s := connect(t, sftptest.New(t, sftptest.WithTap(tap)))
	must(t, s.Lstat("."))
	if limits(t, s).MaxRead != 255<<10 {
		t.Errorf("limits %+v", limits(t, s))
	}
	if n := tap.Flights(); n != 2 {
		t.Errorf("%d flights for the greeting and the first request:\n%s", n, strings.Join(tap.Log(), "\n"))
	}
}

// connectLike opens a session with a server that has greeted another one.
func connectLike(t *testing.T, ch transport.Channel, like *Session) *Session {
	t.Helper()
	s, err := Open(within(t), ch, Options{Like: like})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestAFurtherSessionSendsItsFirstRequestWithItsInit(t *testing.T) {
	tap := sftptest.NewTap()
	tr, err := sftptest.New(t, sftptest.WithTap(tap)).Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	var like *Session
	for _, flights := range []int{2, 1} {
		ch, err := tr.OpenChannel(within(t))
		if err != nil {
			t.Fatal(err)
		}
		tap.SetDelay(100 * time.Millisecond)
		tap.Reset()
		s := connectLike(t, ch, like)
		must(t, s.Lstat("."))
		if n := tap.Flights(); n != flights {
			t.Errorf("%d flights for the greeting and the first request, want %d:\n%s", n, flights, strings.Join(tap.Log(), "\n"))
		}
		tap.SetDelay(0)
		if got := limits(t, s).MaxRead; got != 255<<10 {
			t.Errorf("reads of %d bytes at most", got)
		}
		if !s.Has(extFsync) {
			t.Error("the server has lost an extension")
		}
		like = s
	}
	if n := tap.Requests()["limits@openssh.com"]; n != 0 {
		t.Error("the further session asks for the limits again")
	}
}

// What a session takes for granted of its server does not keep it from ending where the server does not greet.
func TestAFurtherSessionEndsWithItsGreeting(t *testing.T) {
	like := connect(t, sftptest.New(t))
	limits(t, like)
	tr, err := sftptest.New(t, sftptest.Command("/bin/sh", "-c", `echo "Welcome to the machine"; exec cat >/dev/null`)).Dial(within(t))
	if err != nil {
		t.Fatal(err)
	}
	ch, err := tr.OpenChannel(within(t))
	if err != nil {
		t.Fatal(err)
	}
	s := connectLike(t, ch, like)
	if err := s.Lstat(".").Wait(within(t)); err == nil || !strings.Contains(err.Error(), "Welcome") {
		t.Errorf("%v", err)
	}
	select {
	case <-s.Done():
	case <-within(t).Done():
		t.Error("the session goes on")
	}
}
