package sshdial

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// roaming are two servers of one alias: that of b where a file exists, as a Match that asks for the network would say, else that of a.
// asked counts the passwords that b was sent.
func roaming(t *testing.T) (o Options, marker, a, b string, asked *atomic.Int32) {
	t.Helper()
	return roamingTo(t, "right")
}

// roamingTo is roaming with another password at b.
func roamingTo(t *testing.T, password string) (o Options, marker, a, b string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	o = passwordServer(t, &ssh.ServerConfig{PasswordCallback: checkPassword("right"), MaxAuthTries: 20})
	other := passwordServer(t, &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		asked.Add(1)
		if string(p) != password {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}, MaxAuthTries: 20})
	a, b = o.Port, other.Port
	marker = filepath.Join(t.TempDir(), "elsewhere")
	o.ConfigFile = config(t, `Match originalhost srv exec "test -e `+marker+`"`, "Port "+b, "Host srv", "HostName 127.0.0.1", "Port "+a)
	o.Host, o.Port = "srv", ""
	return o, marker, a, b, asked
}

// meet has the key of the server at a port put into the known_hosts file of o, and gives it no password.
func meet(t *testing.T, o Options, port string) {
	t.Helper()
	o.ConfigFile, o.Host, o.Port, o.Password, o.Compression = "none", "127.0.0.1", port, nil, false
	msg, _ := refused(t, o)
	says(t, msg, "login as anna")
}

func isAt(t *testing.T, tr transport.Transport, port string) {
	t.Helper()
	if !strings.HasSuffix(tr.Info().Remote, ":"+port) {
		t.Errorf("connected to %s, and not to port %s", tr.Info().Remote, port)
	}
}

func TestTheConfigurationIsReadAgainForEachLogin(t *testing.T) {
	o, marker, a, b, _ := roaming(t)
	o.Password = []byte("right")
	meet(t, o, b)
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	isAt(t, dialWith(t, d), a)
	write(t, marker, "")
	isAt(t, dialWith(t, d), b)
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	isAt(t, dialWith(t, d), a)
}

func TestASecretIsKeptForTheHostItWasTypedFor(t *testing.T) {
	o, marker, a, _, asked := roaming(t)
	o.Prompt = &fakeUser{answers: [][2]string{{"", "right"}}}
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	isAt(t, dialWith(t, d), a)
	write(t, marker, "")
	if tr, err := d.Dial(ctxOf(t)); err == nil {
		tr.Close()
		t.Fatal("logged in where nobody has given a password")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d passwords went to another host", n)
	}
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	isAt(t, dialWith(t, d), a)
}

func TestAConfigurationThatCannotBeReadAgainHoldsAsBefore(t *testing.T) {
	o, marker, a, b, _ := roaming(t)
	o.Password = []byte("right")
	meet(t, o, b)
	var log strings.Builder
	o.Logger = logTo(&log)
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	isAt(t, dialWith(t, d), a)
	good := read(t, o.ConfigFile)
	write(t, o.ConfigFile, "NoSuchOption yes\n"+good)
	for range 2 {
		isAt(t, dialWith(t, d), a)
	}
	if n := strings.Count(log.String(), "cannot be read again"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	write(t, o.ConfigFile, good)
	write(t, marker, "")
	isAt(t, dialWith(t, d), b)
}

// What the network is does not change beside a connection that is good.
func TestAFurtherLoginGoesTheSameWay(t *testing.T) {
	o, marker, a, _, _ := roaming(t)
	o.Password = []byte("right")
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	isAt(t, dialWith(t, d), a)
	write(t, marker, "")
	tr, err := d.Dial(transport.Further(ctxOf(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTransport(t, tr) })
	isAt(t, tr, a)
}
