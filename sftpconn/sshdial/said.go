package sshdial

import (
	"fmt"
	"strings"
)

// hear notes what the server says in words. What it says before anything was tried is for everybody, and tells nothing of this login.
func (l *login) hear(text string) {
	if text = clip(text, 300); text != "" && l.last != "" {
		l.said = text
	}
}

// words is what the server has said, for the end of a message.
func (l *login) words() string {
	if l.said == "" {
		return ""
	}
	return fmt.Sprintf("; the server says %q", l.said)
}

// notYet reports that a server has said that it is booting, or about to end: it refuses all users then, after it has found their
// passwords right (pam_nologin, in the words of systemd). Nothing that was sent is wrong.
func notYet(said string) bool {
	return strings.Contains(said, "Unprivileged users are not permitted to log in")
}
