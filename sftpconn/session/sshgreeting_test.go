package session

import (
	"strings"
	"testing"
)

// As sshd does where directport leads to its port.
func TestAnSSHServerWhereSFTPWasAskedForWithoutSSHIsCalledOne(t *testing.T) {
	for _, end := range []string{"", "; exec cat >/dev/null"} {
		said := refusal(t, `printf 'SSH-2.0-OpenSSH_9.2\r\nInvalid SSH identification string.\r\n'`+end).Error()
		if !strings.Contains(said, "is an SSH server") || !strings.Contains(said, "directport") || strings.Contains(said, ".bashrc") {
			t.Error(said)
		}
	}
}
