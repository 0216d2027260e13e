package sshdial

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownFile is a known_hosts file. The library gives a whole file up for one line that it can't read, so it gets a copy in which
// such lines, and others that are not for it, are empty: the numbers of the rest stay.
type knownFile struct {
	name string // the user's
	read string // the one that is read: name, or a copy
}

// replace has content read in the file's place.
func (f *knownFile) replace(content []byte) error {
	f.forget()
	tmp, err := os.CreateTemp("", "known_hosts-")
	if err != nil {
		return fmt.Errorf("%s has lines that must be left out, and there is no place for a copy without them: %w", f.name, err)
	}
	f.read = tmp.Name()
	_, err = tmp.Write(content)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	return err
}

// forget removes the copy.
func (f *knownFile) forget() {
	if f.read != f.name {
		os.Remove(f.read)
		f.read = f.name
	}
}

// understoodLines empties the lines that are no entries for the library: broken
// ones, keys of types it doesn't know, what is longer than it reads, and revoked
// keys, which are given beside.
func understoodLines(content []byte) (clean []byte, revoked []revokedKey, changed bool) {
	var out bytes.Buffer
	number := 0
	for line := range bytes.Lines(content) {
		number++
		trimmed := bytes.TrimSpace(line)
		understood := len(line) < bufio.MaxScanTokenSize
		if understood && len(trimmed) > 0 && trimmed[0] != '#' {
			_, _, _, _, _, err := ssh.ParseKnownHosts(append(bytes.Clone(trimmed), '\n'))
			understood = err == nil
		}
		if r, ok := revokedOf(trimmed); ok {
			r.known.Line = number
			revoked = append(revoked, r)
			understood = false
		}
		if understood {
			out.Write(line)
			continue
		}
		out.WriteByte('\n')
		changed = true
	}
	return out.Bytes(), revoked, changed
}

// leaveOut empties the line for which the library has given up with failed. What it says of an entry is stricter than what it
// says of its parts (a pattern of one '!', another kind of hash).
func leaveOut(files []*knownFile, failed error, log *slog.Logger) error {
	msg := failed.Error()
	for _, f := range files {
		after, found := strings.CutPrefix(msg, "knownhosts: "+f.read+":") // the path of one file may end like that of another
		digits, why, hasLine := strings.Cut(after, ":")
		number, err := strconv.Atoi(digits)
		if !found || !hasLine || err != nil {
			continue
		}
		content, err := os.ReadFile(f.read)
		if err != nil {
			return err
		}
		lines := bytes.SplitAfter(content, []byte("\n"))
		if number < 1 || number > len(lines) || len(bytes.TrimSpace(lines[number-1])) == 0 {
			continue
		}
		lines[number-1] = []byte("\n")
		log.Warn("a line of the known host keys cannot be read and is left out", "file", f.name, "line", number, "why", strings.TrimSpace(why))
		return f.replace(bytes.Join(lines, nil))
	}
	for _, f := range files {
		msg = strings.ReplaceAll(msg, f.read, f.name)
	}
	return permanent("the known host keys cannot be read: %s", msg)
}
