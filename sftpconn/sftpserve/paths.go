package sftpserve

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"path"
)

// maxPathPacket bounds the packets that are looked into: as much as pkg/sftp takes of one.
const maxPathPacket = 256 << 10

// Types of packets that have paths in them (draft-ietf-secsh-filexfer-02, section 3).
const (
	fxpOpen     = 3
	fxpLstat    = 7
	fxpSetstat  = 9
	fxpOpendir  = 11
	fxpRemove   = 13
	fxpMkdir    = 14
	fxpRmdir    = 15
	fxpRealpath = 16
	fxpStat     = 17
	fxpRename   = 18
	fxpReadlink = 19
	fxpSymlink  = 20
	fxpExtended = 200
)

// absolute passes on the requests that a client sends, with their relative paths made absolute, as those of a session that begins in
// dir. pkg/sftp can do that itself, but does so with the target of a symbolic link too, which then leads elsewhere from any other
// directory: a target is to be stored as it was sent.
type absolute struct {
	from *bufio.Reader
	dir  string
	head []byte // what is to be passed on first
	raw  int64  // bytes of from that come behind it, as they are
}

func newAbsolute(from io.Reader, dir string) *absolute {
	return &absolute{from: bufio.NewReader(from), dir: dir}
}

func (a *absolute) Read(p []byte) (int, error) {
	if len(a.head) == 0 && a.raw == 0 {
		if err := a.next(); err != nil {
			return 0, err
		}
	}
	if len(a.head) > 0 {
		n := copy(p, a.head)
		a.head = a.head[n:]
		return n, nil
	}
	n, err := a.from.Read(p[:min(int64(len(p)), a.raw)])
	a.raw -= int64(n)
	return n, err
}

// next begins with the next packet.
func (a *absolute) next() error {
	packet := make([]byte, 5) // length, type
	if _, err := io.ReadFull(a.from, packet); err != nil {
		return err
	}
	length := int64(binary.BigEndian.Uint32(packet))
	a.head, a.raw = packet, length-1
	if length == 0 {
		// The byte behind the length is the next packet's: pkg/sftp ends the session of who sends such a one.
		a.raw = 0
		return nil
	}
	if !hasPaths(packet[4]) || length > maxPathPacket {
		return nil
	}
	body := make([]byte, a.raw)
	a.raw = 0
	if _, err := io.ReadFull(a.from, body); err != nil {
		return err
	}
	body = a.rewritten(packet[4], body)
	binary.BigEndian.PutUint32(packet, uint32(1+len(body)))
	a.head = append(packet, body...)
	return nil
}

func hasPaths(kind byte) bool {
	switch kind {
	case fxpOpen, fxpLstat, fxpSetstat, fxpOpendir, fxpRemove, fxpMkdir, fxpRmdir, fxpRealpath, fxpStat, fxpRename, fxpReadlink, fxpSymlink,
		fxpExtended:
		return true
	}
	return false
}

// rewritten gives the body of a packet, which begins with its id, with absolute paths. One that is too short stays what it is.
func (a *absolute) rewritten(kind byte, body []byte) []byte {
	if len(body) < 4 {
		return body
	}
	out, rest := bytes.Clone(body[:4]), body[4:]
	pass, paths := 0, 1 // strings to pass on as they are, and paths behind them
	switch kind {
	case fxpRename:
		paths = 2
	case fxpSymlink:
		pass = 1 // the target comes first, as with OpenSSH
	case fxpExtended:
		name, _, ok := cutString(rest)
		if !ok {
			return body
		}
		pass, paths = 1, pathsOf(string(name))
	}
	for i := range pass + paths {
		text, behind, ok := cutString(rest)
		if !ok {
			return body
		}
		if i >= pass && !path.IsAbs(string(text)) {
			text = []byte(path.Join(a.dir, string(text)))
		}
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(text))), text...)
		rest = behind
	}
	return append(out, rest...)
}

// pathsOf says how many paths the extensions have that pkg/sftp serves.
func pathsOf(extension string) int {
	switch extension {
	case "statvfs@openssh.com":
		return 1
	case "posix-rename@openssh.com", "hardlink@openssh.com":
		return 2
	}
	return 0
}

// cutString takes the string off that b begins with.
func cutString(b []byte) (text, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int64(binary.BigEndian.Uint32(b))
	if b = b[4:]; n > int64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
