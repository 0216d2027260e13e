package sshdial

import (
	"os"
	"strings"
	"testing"
)

// A network may put any host in the server's place, and accept-new would take it for the server.
func TestAGivenPasswordGoesToAnotherHostOnlyWhereItsKeyIsKnown(t *testing.T) {
	o, marker, a, b, asked := roaming(t)
	o.Password = []byte("right")
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	isAt(t, dialWith(t, d), a)
	write(t, marker, "")
	for range 2 { // the first attempt does not make it known
		tr, err := d.Dial(ctxOf(t))
		if err == nil {
			tr.Close()
			t.Fatal("logged in to a host that nobody knows")
		}
		says(t, err.Error(), "port "+b, "is not known")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d passwords went to another host", n)
	}
	meet(t, o, b)
	isAt(t, dialWith(t, d), b)
}

func TestSSHGivesAGivenPasswordToAnotherHostOnlyWhereItsKeyIsKnown(t *testing.T) {
	o, marker, _, b, asked := roaming(t)
	o.Password, o.Compression = []byte("right"), true // which is ssh's
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	dialInVain(t, d, "nothing here")
	write(t, marker, "")
	for range 2 {
		dialInVain(t, d, "erification failed")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d passwords went to another host", n)
	}
	meet(t, o, b)
	dialInVain(t, d, "nothing here")
	if asked.Load() == 0 {
		t.Error("no password was given to a host that is known")
	}
}

// dialInVain expects a login to fail, and words in the reason.
func dialInVain(t *testing.T, d *Dialer, words ...string) string {
	t.Helper()
	tr, err := d.Dial(ctxOf(t))
	if err == nil {
		tr.Close()
		t.Fatal("logged in")
	}
	says(t, err.Error(), words...)
	return err.Error()
}

func TestARefusalOfAnotherHostLeavesAGivenPassword(t *testing.T) {
	for _, compression := range []bool{false, true} { // the native client, and ssh
		o, marker, a, b, asked := roamingTo(t, "another")
		meet(t, o, b)
		o.Password, o.Compression = []byte("right"), compression
		d, err := New(ctxOf(t), o)
		if err != nil {
			t.Fatal(err)
		}
		atA := func() {
			t.Helper()
			if !compression {
				isAt(t, dialWith(t, d), a)
			} else if msg := dialInVain(t, d, "nothing here"); strings.Contains(msg, refusedKept) {
				t.Error(msg)
			}
		}
		atA()
		for range 2 {
			write(t, marker, "")
			for range 2 {
				dialInVain(t, d)
			}
			if err := os.Remove(marker); err != nil {
				t.Fatal(err)
			}
			atA()
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("compression %t: the host that refuses the password was sent it %d times", compression, n)
		}
	}
}

func TestTheConfigurationLeadsElsewhereThanToARefusal(t *testing.T) {
	o, marker, a, b, _ := roamingTo(t, "another")
	meet(t, o, b)
	o.Password = []byte("right")
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	isAt(t, dialWith(t, d), a)
	write(t, marker, "")
	dialInVain(t, d)
	if d.Elsewhere(ctxOf(t)) {
		t.Error("the server that has refused is said to be another")
	}
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	if !d.Elsewhere(ctxOf(t)) {
		t.Error("a server that has accepted a login is said to be the one that has refused")
	}
	isAt(t, dialWith(t, d), a)
	write(t, marker, "")
	if d.Elsewhere(ctxOf(t)) {
		t.Error("the refusal is forgotten for a login that another server has accepted")
	}
}
