package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"

	"sshmount/sftpconn/transport"
)

const (
	// chatterWait is how long a server that sends something other than SFTP is listened
	// to, so that the error quotes a whole line and not its first four letters.
	chatterWait = 300 * time.Millisecond
	maxChatter  = 512 // bytes

	// lastWords is how long a session that could not begin waits for what the
	// server may say about the reason.
	lastWords = time.Second
)

// greeting reads VERSION, and asks for the limits where the server has them.
func (r *reader) greeting() error {
	n, err := io.ReadFull(r.r, r.head[:5])
	if err != nil {
		if n > 0 {
			return r.chatter(r.head[:n])
		}
		return r.silence(err)
	}
	length := binary.BigEndian.Uint32(r.head[:4])
	if length > maxPacketUnasked && sshfx.PacketType(r.head[4]) == sshfx.PacketTypeVersion {
		return broken("its VERSION packet has %d bytes, and %d are taken", length, maxPacketUnasked)
	}
	if length < 5 || length > maxPacketUnasked || sshfx.PacketType(r.head[4]) != sshfx.PacketTypeVersion {
		return r.chatter(r.head[:5])
	}
	body := make([]byte, length-1)
	if _, err := io.ReadFull(r.r, body); err != nil {
		return r.s.readError(err)
	}

	b := sshfx.NewBuffer(body)
	version := b.ConsumeUint32()
	extensions := make(map[string]string)
	for b.Len() > 0 && b.Err == nil {
		name := b.ConsumeString()
		extensions[name] = b.ConsumeString()
	}
	switch {
	case b.Err != nil:
		return broken("its VERSION packet is cut short")
	case version < 3:
		return transport.NoSFTP("the server speaks SFTP version %d, and version 3 is needed", version)
	case version > 3:
		r.s.log.Warn("the server answers with an SFTP version that was not asked for; going on with version 3", "version", version)
	}
	r.s.extensions.Store(&extensions)
	if r.s.known {
		return nil
	}
	r.s.mu.Lock()
	r.s.handles.may = r.s.Has("fsync@openssh.com") // if it gives out other handles than OpenSSH, the first shows that
	r.s.mu.Unlock()
	if r.s.Has(extLimits) {
		r.s.limits = r.s.start(&Call{want: answerLimits, frame: newExtended(extLimits)})
	}
	return nil
}

// silence is the error of a server that ended the channel without a word of SFTP.
func (r *reader) silence(err error) error {
	if !errors.Is(err, io.EOF) {
		return r.s.readError(err)
	}
	// What the server writes to standard error comes separately, perhaps a little later.
	for end := time.Now().Add(lastWords); r.s.ch.Remarks() == "" && r.s.Err() == nil && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if remarks := printable(r.s.ch.Remarks()); remarks != "" {
		return fmt.Errorf("the server ended the SFTP session before it began; it wrote %q", remarks)
	}
	return errors.New("the server ended the SFTP session before it began, and said nothing: the SFTP server that is named there " +
		"(Subsystem sftp in its sshd_config) does not start, or a start-up file of the login shell (~/.bashrc, ~/.profile, ~/.cshrc) " +
		"or a command forced on the account ends first")
}

// chatter is the error of a server that sends something other than SFTP,
// beginning with the bytes in first.
func (r *reader) chatter(first []byte) error {
	text := append(make([]byte, 0, maxChatter), first...)
	pieces, enough := make(chan []byte), make(chan struct{})
	defer close(enough)
	go r.listen(pieces, enough)
	wait := time.NewTimer(chatterWait)
	defer wait.Stop()
	ended := false // by the server, and not by us
	for listening := true; listening && len(text) < maxChatter; {
		select {
		case piece, more := <-pieces:
			text = append(text, piece[:min(len(piece), maxChatter-len(text))]...)
			ended, listening = !more, more
		case <-wait.C:
			listening = false
		}
	}
	switch said := printable(string(text)); {
	case strings.HasPrefix(said, "SSH-"):
		return transport.NoSFTP("what answers is an SSH server (it wrote %q), and SFTP without SSH was asked for: "+
			"leave directport, vsock or the like out, and give its port with -p", said)
	case said != "" && ended:
		return transport.NoSFTP("the server wrote %q where SFTP should begin, and ended the session: "+
			"the account's login shell or a command forced on it there does not let SFTP run, "+
			"or a start-up file of the shell (~/.bashrc, ~/.profile, ~/.cshrc) ends it", said)
	case said != "":
		return transport.NoSFTP("the server wrote %q where SFTP should begin; "+
			"a start-up file of the login shell there (~/.bashrc, ~/.profile, ~/.cshrc) prints this also without a terminal: "+
			"let it print in interactive shells only", said)
	}
	return transport.NoSFTP("what answers does not speak SFTP; its first bytes are % x", text[:min(len(text), 16)])
}

// listen sends what it reads to pieces, until the server ends the channel (then it closes pieces) or enough is closed. Nobody waits for
// it: a server may end the channel only when its program ends.
func (r *reader) listen(pieces chan<- []byte, enough <-chan struct{}) {
	defer close(pieces)
	for {
		piece := make([]byte, maxChatter)
		n, err := r.r.Read(piece)
		select {
		case pieces <- piece[:n]:
		case <-enough:
			return
		}
		if err != nil {
			return
		}
	}
}

// printable is the leading part of s that can be shown to a user, at most 200 letters.
func printable(s string) string {
	var b strings.Builder
	letters := 0
	for i := 0; i < len(s) && letters < 200; letters++ {
		c, size := utf8.DecodeRuneInString(s[i:])
		if (c == utf8.RuneError && size <= 1) || (!unicode.IsPrint(c) && !unicode.IsSpace(c) && c != '\x1b') {
			break
		}
		b.WriteRune(c)
		i += size
	}
	return strings.TrimSpace(b.String())
}
