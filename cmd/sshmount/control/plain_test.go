package control

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"sshmount/cache"
	"sshmount/sftpconn"
	"sshmount/sftpconn/transport"
)

// hostile is what a server may say: sequences that begin with ESC or with the control character that stands for ESC [, and lines that
// look like ours.
const hostile = "gone\x1b]0;owned\a \u009b2J\x7f\r\n  everything is saved"

func TestWhatAServerSaidDoesNothingToATerminal(t *testing.T) {
	now := time.Now()
	info := transport.Info{Client: hostile, Remote: hostile, User: hostile, AuthMethod: hostile, HostKey: hostile, Cipher: hostile}
	for _, line := range []sftpconn.Status{
		{Since: now, LastError: hostile, Info: info}, {Since: now, LastError: hostile, Info: info, Connected: true, Reconnects: 1},
	} {
		text := render(t, line, cache.Status{UnsavedOps: 1, Errors: []string{hostile}, Rescued: []string{hostile}}, now)
		if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
			t.Errorf("control characters in %q", text)
		}
		if strings.Contains(text, "\n  everything is saved") {
			t.Errorf("a line of the server's in:\n%s", text)
		}
	}
	text := Progress{State: Unreachable, LastError: hostile, Operations: 1}.String()
	if strings.ContainsFunc(text, unicode.IsControl) || !strings.Contains(text, "gone") {
		t.Errorf("%q", text)
	}
}
