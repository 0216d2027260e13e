package sshdial

import (
	"net"
	"testing"

	"golang.org/x/crypto/ssh/agent"
)

func TestAKeyThatWasUnlockedGoesToTheAgent(t *testing.T) {
	key := keygen(t, t.TempDir(), "locked", "ed25519", "open sesame")
	s := startServer(t, []string{key})
	for how, added := range map[string]int{"yes": 1, "no": 0, "ask": 0, "1h": 1} {
		t.Run(how, func(t *testing.T) {
			socket := startAgent(t)
			o := s.options(t, key, "IdentityAgent="+socket, "AddKeysToAgent="+how)
			o.Prompt = &fakeUser{answers: [][2]string{{key, "open sesame"}}}
			dial(t, o)
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			keys, err := agent.NewClient(conn).List()
			if err != nil || len(keys) != added {
				t.Fatalf("the agent has %v, %v; want %d keys", keys, err, added)
			}
			if added == 0 {
				return
			}
			if keys[0].Comment != key {
				t.Errorf("it is called %q", keys[0].Comment)
			}
			o.Prompt = nil // the agent answers now
			dial(t, o)
		})
	}
}

func TestHowAddKeysToAgentIsWritten(t *testing.T) {
	for value, want := range map[string]agent.AddedKey{
		"yes": {}, "true": {}, "confirm": {ConfirmBeforeUse: true}, "3600": {LifetimeSecs: 3600}, "10m": {LifetimeSecs: 600},
		"confirm 1h": {ConfirmBeforeUse: true, LifetimeSecs: 3600},
	} {
		c := &hostConfig{values: map[string][]string{"addkeystoagent": {value}}}
		if got, wanted := c.keyForAgent(); !wanted || got.ConfirmBeforeUse != want.ConfirmBeforeUse || got.LifetimeSecs != want.LifetimeSecs {
			t.Errorf("%q gives %+v, %v", value, got, wanted)
		}
	}
	for _, value := range []string{"", "no", "false", "ask", "confirm ask"} {
		c := &hostConfig{values: map[string][]string{"addkeystoagent": {value}}}
		if _, wanted := c.keyForAgent(); wanted {
			t.Errorf("%q adds a key", value)
		}
	}
}
