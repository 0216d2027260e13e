package sshdial

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownFile is a known_hosts file. The library rejects a whole file for one line that it can't read. So it gets a copy in which such lines,
// and others that are not meant for it, are empty: the numbers of the other lines stay.
type knownFile struct {
	name string // the user's
	read string // the one that is read: name, or a copy
}

// replace has content read in place of the file.
func (f *knownFile) replace(content []byte) error {
	f.forget()
	tmp, err := os.CreateTemp("", "known_hosts-")
	if err != nil {
		return fmt.Errorf("%s has lines that must be left out, and there is no place for a copy without them: %w", f.name, err)
	}
	f.read = tmp.Name()
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("%s has lines that must be left out, and a copy without them cannot be written: %w", f.name, err)
	}
	return nil
}

// forget removes the copy.
func (f *knownFile) forget() {
	if f.read != f.name {
		os.Remove(f.read)
		f.read = f.name
	}
}

// understoodLines empties the lines that the library can't use: broken ones, keys of types
// that it doesn't know, lines that are too long for it, and revoked keys, which are returned
// separately.
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

// leaveOut empties the line for which the library has rejected a file, with the error failed. It checks an entry as a whole more strictly
// than understoodLines can (a pattern that is only '!', another kind of hash).
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
