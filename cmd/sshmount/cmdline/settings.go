// Package cmdline parses the command line of a mount: that of sshfs, with options
// before, between and after the operands, and that with which mount(8) calls a helper.
//
// Each option is a row of a table (tables_*.go) with its name, the kind of its value,
// its help and its effect, which is to set a field of [Settings]. The parser knows
// none by name except a few short flags. Options that concern several fields, or
// exclude each other, are settled after parsing (complete). An option that is not in
// the table but a keyword of ssh_config(5) is passed on to the SSH set-up.
package cmdline

import (
	"time"

	"sshmount/cache"
	"sshmount/fusefs"
	"sshmount/sftpconn"
	"sshmount/sftpconn/sshdial"
)

// How ids of users and groups are mapped between the two sides.
const (
	MapNone = "none"
	MapUser = "user"
	MapFile = "file"
	MapName = "name"
)

// Settings is what a command line asks for. It holds the option structs of the other
// packages themselves, so that each parameter is declared once.
type Settings struct {
	Source     string // the first operand, as the user wrote it
	Mountpoint string // the second operand, as the user wrote it
	NonEmpty   bool   // the mount point may hide files

	Dial  sshdial.Options
	Conn  sftpconn.Options
	Cache cache.Options
	Mount fusefs.Options

	Foreground bool
	Fake       bool // mount -f: the command line is to be looked at, and no more
	Debug      bool
	Help       bool
	Version    bool

	PasswordFromStdin bool
	Passive           bool // SFTP runs on standard input and output

	IDMap          string // one of the Map constants
	UIDFile        string
	GIDFile        string
	IgnoreUnmapped bool

	DrainTimeout time.Duration // how long the end of a mount waits for unsaved data
	LogFile      string        // "" means one in the state directory

	// Warnings are for the user to read, about options that are accepted but don't have their usual effect.
	Warnings []string

	form                form
	suidGiven, devGiven bool
	noDefaultPerms      bool
	attrTrust           trust
}

// trust holds the three times of sshfs's directory cache. The cache here has one time
// for all of them: the smallest, which keeps the promise of each.
type trust struct{ stat, dir, link *time.Duration }

func (t trust) smallest() time.Duration {
	const usual = 20 * time.Second
	least := time.Duration(-1)
	for _, d := range []*time.Duration{t.stat, t.dir, t.link} {
		v := usual
		if d != nil {
			v = *d
		}
		if least < 0 || v < least {
			least = v
		}
	}
	return least
}

// form is how the program was called.
type form struct {
	helper       bool // by mount(8): -s and -f and a few more mean something else, and 'async' is the kernel's word
	viaMountFuse bool // by mount.fuse3, which adds dev and suid on its own
	byLooks      bool // viaMountFuse is only what the arguments look like: somebody may have written them so
	sshfs        bool // under sshfs's name
	sloppy       bool // mount -s: what is not known is passed over
}

// behindMount reports whether mount(8) may have added words of its own to the options.
func (f form) behindMount() bool { return f.helper || f.viaMountFuse }

func (s *Settings) warn(text string) { s.Warnings = append(s.Warnings, text) }
