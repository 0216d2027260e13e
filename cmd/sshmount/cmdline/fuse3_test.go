package cmdline

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheOptionsOfNewerLibfuseAreTaken(t *testing.T) {
	s, err := Parse("sshfs", []string{"-r", "h:", "/mnt", "-o", "fmask=133,dmask=022"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Mount.ReadOnly || s.Mount.FileMask == nil || *s.Mount.FileMask != 0o133 || s.Mount.DirMask == nil || *s.Mount.DirMask != 0o022 {
		t.Errorf("read only %v, masks %v and %v", s.Mount.ReadOnly, s.Mount.FileMask, s.Mount.DirMask)
	}
}

// With umask=022 a file that is 0600 on the server is shown as 0755: nothing is taken away from the server's bits.
func TestTheHelpDoesNotSayThatUmaskHidesBits(t *testing.T) {
	var help bytes.Buffer
	if err := Usage(&help); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(help.String()), " ")
	if strings.Contains(text, "bits to hide") || !strings.Contains(text, "umask=M show everything with all permission bits but these") {
		t.Errorf("of umask the help says something else:\n%s", help.String())
	}
}
