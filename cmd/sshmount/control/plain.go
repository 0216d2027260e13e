package control

import (
	"strings"
	"unicode"
)

// Plain makes one line of a text, and takes out of it what would do something to a terminal: errors hold what servers have
// said, also those that nobody has found to be the right ones yet.
func Plain(text string) string {
	return Visible(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

// Visible is Plain for a text whose lines and tabs are ours.
func Visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, text)
}

func plainList(lines []string) []string {
	plain := make([]string, len(lines))
	for i, l := range lines {
		plain[i] = Plain(l)
	}
	return plain
}

// plain is the status with nothing in what others have said that does something to a terminal. Names of unsaved files are not
// among that: they are quoted.
func (s Status) plain() Status {
	for _, text := range []*string{
		&s.Mountpoint, &s.Source, &s.Log, &s.LastError, &s.Login.Client, &s.Login.Remote, &s.Login.User, &s.Login.Method, &s.Login.HostKey, &s.Login.Cipher,
	} {
		*text = Plain(*text)
	}
	s.Errors, s.Rescued = plainList(s.Errors), plainList(s.Rescued)
	return s
}
