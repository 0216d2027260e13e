package sshdial

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"sshmount/sftpconn/transport"
)

// remarksSize is how much of a channel's standard error is kept, in bytes.
const remarksSize = 4 << 10

// remarks keeps the end of what was written to it.
type remarks struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (r *remarks) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = append(r.text, p[max(0, len(p)-remarksSize):]...)
	if extra := len(r.text) - remarksSize; extra > 0 {
		r.text = append(r.text[:0], r.text[extra:]...)
	}
	return len(p), nil
}

func (r *remarks) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.text)
}

// sshChannel is a session channel of the native client.
type sshChannel struct {
	ssh.Channel
	transport *sshTransport
	stderr    remarks
	greeted   atomic.Bool // something was read

	mu   sync.Mutex // guards exit
	exit string     // how the server's program has ended; "" where it has ended well or is running
}

var _ transport.Channel = (*sshChannel)(nil)

func newSSHChannel(t *sshTransport, ch ssh.Channel, requests <-chan *ssh.Request) *sshChannel {
	c := &sshChannel{Channel: ch, transport: t}
	// Both goroutines end with the channel. Standard error must be read, or it would use up the window.
	go io.Copy(&c.stderr, ch.Stderr())
	go func() {
		for r := range requests {
			c.note(r)
			if r.WantReply {
				r.Reply(false, nil)
			}
		}
	}()
	return c
}

func (c *sshChannel) note(r *ssh.Request) {
	how := ""
	switch r.Type {
	case "exit-status":
		var m struct{ Status uint32 }
		if ssh.Unmarshal(r.Payload, &m) == nil && m.Status != 0 {
			how = fmt.Sprintf("exit status %d", m.Status)
		}
	case "exit-signal":
		var m struct {
			Signal     string
			CoreDumped bool
			Error      string
			Lang       string
		}
		if ssh.Unmarshal(r.Payload, &m) == nil {
			how = "signal " + clip(m.Signal, 20)
		}
	}
	if how != "" {
		c.mu.Lock()
		c.exit = how
		c.mu.Unlock()
	}
}

// Read returns an error that is io.EOF, perhaps wrapped, when the server has ended the
// channel, and the connection's error when the connection is over.
func (c *sshChannel) Read(p []byte) (int, error) {
	n, err := c.Channel.Read(p)
	if n > 0 {
		c.greeted.Store(true)
	}
	if errors.Is(err, io.EOF) && n == 0 {
		return 0, c.end()
	}
	return n, err
}

// end says why there is nothing more to read.
func (c *sshChannel) end() error {
	if c.transport.ended() {
		return c.transport.err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exit != "" {
		return fmt.Errorf("the SFTP server on %s ended with %s: %w", c.transport.name, c.exit, io.EOF)
	}
	return io.EOF
}

// Close ends the channel without waiting for the other side. The library may
// block where the line is dead; that is left to a goroutine, which ends with the line.
func (c *sshChannel) Close() error {
	go c.Channel.Close()
	return nil
}

// Remarks is also what the server has said at the end of the login, where its program says nothing: of an account whose password has
// expired sshd takes the key, and then starts nothing.
func (c *sshChannel) Remarks() string {
	if said := c.stderr.String(); said != "" || c.greeted.Load() {
		return said
	}
	return c.transport.said
}
