package sshdial

import (
	"context"
	"io"
	"log/slog"
	"time"
)

// defaultConnectTimeout bounds connecting and each silence during a login where
// neither the options nor the configuration say otherwise.
const defaultConnectTimeout = 15 * time.Second

// Options say where to log in, and how.
type Options struct {
	// Host, User and Port are as the user wrote them. Host may be an alias of
	// the ssh configuration; an empty User or Port comes from there.
	Host, User, Port string

	// ConfigFile is read instead of ssh's own configuration files, as -F of
	// ssh; "none" reads no file at all.
	ConfigFile string

	// SSHOptions are "Key=Value", for any option of ssh_config(5), as -o of
	// ssh takes them. Of two for the same key the earlier one counts. They hold
	// for the server itself, not for jump hosts, as with ssh.
	SSHOptions []string

	// SSHCommand is an external ssh to run instead of the native client. It is
	// split at spaces; quotes and backslashes are respected, no shell sees it.
	SSHCommand string

	// SFTPServer is the name of the subsystem to ask for or, where it contains
	// a '/', the path of an SFTP server to run on the other side. "" is "sftp".
	SFTPServer string

	// DirectPort is a TCP port of Host where an SFTP server answers without SSH.
	DirectPort string

	// VSock is "CID:PORT", where an SFTP server answers without SSH.
	VSock string

	// Passive is a stream on which an SFTP server already talks. It makes one
	// transport with one channel; there is no second login.
	Passive io.ReadWriteCloser

	// Compression asks for compression of the SSH connection, as -C of ssh.
	Compression bool

	// Prompt asks the user. Nil means that there is nobody to ask.
	Prompt Prompter

	// Password answers the first question for a password. It is copied.
	Password []byte

	// ConnectTimeout bounds connecting and each silence during the login. It
	// does not count the time the user takes to answer. 0 means what the
	// configuration says, or else 15 s.
	ConnectTimeout time.Duration

	// Delay leaves Nagle's algorithm on. By default it is off (TCP_NODELAY).
	Delay bool

	// Logger gets what a user may want to know later; never a secret. Nil drops it.
	Logger *slog.Logger
}

// A Prompter asks the user. Its methods are called from one goroutine at a time.
// One that is an io.Closer is closed when there is nothing more to ask.
type Prompter interface {
	// Ask shows the prompt and reads one line, without its end. With echo
	// false what is typed stays invisible. It returns when ctx ends.
	Ask(ctx context.Context, prompt string, echo bool) (string, error)

	// Notice shows a line to the user (a banner, "Permanently added …").
	Notice(line string)
}

// Settings are what the configuration says that concerns the layers above.
type Settings struct {
	ServerAliveInterval time.Duration // 0 where it is not set
	ServerAliveCountMax int           // 0 where ServerAliveInterval is not set
	ConnectTimeout      time.Duration
	ConnectTimeoutSet   bool // the user or his configuration has said it
}
