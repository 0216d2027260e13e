package sshdial

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// homeDir is the user's home, as ssh sees it: by the user database first, so
// that a changed HOME (sudo) doesn't lead to other keys than ssh would use.
func homeDir() string {
	if u, err := user.Current(); err == nil && u.HomeDir != "" {
		return u.HomeDir
	}
	h, _ := os.UserHomeDir()
	return h
}

func localUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

// tokens gives what each %-token of ssh_config(5) stands for on a hop.
func (c *hostConfig) tokens() map[byte]string {
	local, _ := os.Hostname()
	short, _, _ := strings.Cut(local, ".")
	uid := ""
	if u, err := user.Current(); err == nil {
		uid = u.Uid
	}
	key := c.getUnlessNone("hostkeyalias")
	if key == "" {
		key = c.alias
	}
	jump := c.getUnlessNone("proxyjump")
	sum := sha1.Sum([]byte(local + c.hostName() + c.port() + c.user() + jump))
	return map[byte]string{
		'%': "%", 'd': homeDir(), 'h': c.hostName(), 'i': uid, 'j': jump, 'k': key,
		'L': short, 'l': local, 'n': c.alias, 'p': c.port(), 'r': c.user(),
		'u': localUser(), 'C': hex.EncodeToString(sum[:]),
	}
}

// expandTokens replaces %-tokens; one it doesn't know stays as it is.
func (c *hostConfig) expandTokens(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	tokens := c.tokens()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+1 < len(s) {
			if v, ok := tokens[s[i+1]]; ok {
				b.WriteString(v)
				i++
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// expandPath makes a file's name of what a configuration says: ~, ~user,
// ${VARIABLE} and %-tokens are replaced.
func (c *hostConfig) expandPath(s string) string {
	s = expandVariables(s)
	if s == "~" || strings.HasPrefix(s, "~/") {
		s = filepath.Join(homeDir(), s[1:])
	} else if strings.HasPrefix(s, "~") {
		name, rest, _ := strings.Cut(s[1:], "/")
		if u, err := user.Lookup(name); err == nil {
			s = filepath.Join(u.HomeDir, rest)
		}
	}
	return c.expandTokens(s)
}

// expandVariables replaces ${NAME}, the only form that ssh knows.
func expandVariables(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return b.String() + s
		}
		b.WriteString(before + os.Getenv(name)) // a value is not expanded in its turn: it may name itself
		s = after
	}
}

// splitFiles splits a list of files as `ssh -G` prints it: at spaces, with the
// names not quoted. A name that itself contains spaces is put together again
// where that makes the name of a file that exists.
func splitFiles(s string) []string {
	words := splitWords(s)
	var files []string
	for i := 0; i < len(words); i++ {
		file := words[i]
		if _, err := os.Stat(file); err != nil {
			joined := file
			for j := i + 1; j < len(words); j++ {
				joined += " " + words[j]
				if _, err := os.Stat(joined); err == nil {
					file, i = joined, j
					break
				}
			}
		}
		files = append(files, file)
	}
	return files
}

// splitWords splits at white space. Quotes, single and double, keep words
// together; a backslash keeps the next character as it is (not in single quotes).
func splitWords(s string) []string {
	var words []string
	var word strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		ch := s[i]
		switch {
		case ch == '\\' && quote != '\'' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			in = true
		case quote != 0 && ch == quote:
			quote = 0
		case quote == 0 && (ch == '\'' || ch == '"'):
			quote, in = ch, true
		case quote == 0 && (ch == ' ' || ch == '\t' || ch == '\n'):
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(ch)
			in = true
		}
	}
	if in {
		words = append(words, word.String())
	}
	return words
}
