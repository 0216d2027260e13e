package cmdline

import "testing"

func TestNosymfollowIsTakenAndTakenBack(t *testing.T) {
	for options, want := range map[string]bool{"nosymfollow": true, "nosymfollow,symfollow": false} {
		s, err := Parse("sshfs", []string{"h:", "/mnt", "-o", options}, false)
		if err != nil || s.Mount.NoSymfollow != want {
			t.Errorf("%s: %v, %v", options, s, err)
		}
	}
}
