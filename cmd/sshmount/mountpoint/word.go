package mountpoint

import (
	"strconv"
	"strings"
	"unicode"
)

// Word is a file's name as it is written in a command for a shell: the commands that messages tell are there to be copied.
func Word(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name // no option
	}
	switch {
	case strings.ContainsFunc(name, unicode.IsControl):
		text := strconv.Quote(name)
		return "$'" + strings.NewReplacer(`\"`, `"`, `\\`, `\\`, `'`, `\'`).Replace(text[1:len(text)-1]) + "'"
	case name == "" || strings.ContainsFunc(name, special):
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

// special says of a character that a shell may take it for something else.
func special(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+,:@%=", r)
}
