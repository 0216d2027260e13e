package cmdline

import (
	"strings"
	"testing"
)

// Whoever writes them as mount.fuse3 does must hear that they do nothing, and how they do.
func TestDevAndSuidThatLookLikeThoseOfMountFuseAreNotPassedOverInSilence(t *testing.T) {
	for options, want := range map[string]struct{ viaMount, obeyed, told bool }{
		"dev,suid":              {told: true},
		"reconnect,dev,suid":    {told: true},
		"suid,dev":              {obeyed: true},
		"dev,suid,reconnect":    {obeyed: true},
		"reconnect,dev,suid,rw": {obeyed: true},
		"rw,dev,suid":           {viaMount: true},
	} {
		s, err := Parse("sshmount", []string{"h:", "/mnt", "-o", options}, want.viaMount)
		if err != nil {
			t.Fatal(err)
		}
		told := strings.Contains(strings.Join(s.Warnings, "; "), "suid,dev")
		if s.Mount.Suid != want.obeyed || s.Mount.Dev != want.obeyed || told != want.told {
			t.Errorf("-o %s: suid %v, dev %v, warnings %q", options, s.Mount.Suid, s.Mount.Dev, s.Warnings)
		}
	}
}
