package sshdial

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestANameThatOnlyTheNameServiceKnows(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	// Nothing answers at the first of the addresses.
	standIn(t, map[string]string{"getent": `test "$1 $2" = "ahosts printer.invalid" || exit 2
echo "127.0.0.77      STREAM printer.invalid"; echo "127.0.0.77 DGRAM"; echo "127.0.0.1 STREAM"`})
	host := fmt.Sprintf("[printer.invalid]:%d", s.port)
	o := s.options(t, key, "UserKnownHostsFile="+knownAs(t, host+" "+publicPart(t, s.hostKey)))
	o.Host = "printer.invalid"
	if info := dial(t, o).Info(); info.Remote != s.address() {
		t.Errorf("%+v", info)
	}
	o.SSHOptions = append([]string{"AddressFamily=inet6"}, o.SSHOptions...)
	msg, _ := refused(t, o)
	says(t, msg, "printer.invalid", "not known")
	o.Host = "nobody.invalid"
	msg, err := refused(t, o)
	says(t, msg, "nobody.invalid", "not known")
	if isPermanent(err) {
		t.Error("permanent, although the network may come back")
	}
}

func TestAddressesOfTheNameServiceAreRead(t *testing.T) {
	const text = "fe80::1%3  STREAM host\nfe80::1%3  DGRAM\n192.0.2.1 STREAM\n::ffff:192.0.2.1 STREAM\nnonsense\n\n"
	for network, want := range map[string]string{"tcp": "fe80::1%3 192.0.2.1", "tcp4": "192.0.2.1", "tcp6": "fe80::1%3"} {
		var got []string
		for _, a := range readAddresses(text, network) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", network, got, want)
		}
	}
}

func TestTheNameServiceGetsNoOptions(t *testing.T) {
	standIn(t, map[string]string{"getent": "echo 192.0.2.1"})
	if got := askNameService(t.Context(), "-s", "tcp"); got != nil {
		t.Errorf("%v", got)
	}
	if got := askNameService(t.Context(), "h", "tcp"); !slices.Equal(got, []netip.Addr{netip.MustParseAddr("192.0.2.1")}) {
		t.Errorf("%v", got)
	}
}
