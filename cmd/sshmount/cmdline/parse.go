package cmdline

import (
	"errors"
	"fmt"
	"strings"
)

// An Error is a fault in the command line, which the user can correct.
type Error struct{ text string }

func (e *Error) Error() string { return e.text }

func faultf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Parse parses the command line of a mount. args are without the program's name, which
// is calledAs. viaMount says that mount(8) or mount.fuse3 is among the parents of this
// process. Where Help or Version is asked for, the operands may be missing, and whether
// the options fit together is not checked.
func Parse(calledAs string, args []string, viaMount bool) (*Settings, error) {
	s := &Settings{form: formOf(calledAs, viaMount || asMountFuseWrites(args)), IDMap: MapUser}
	s.form.byLooks = s.form.viaMountFuse && !viaMount
	if s.form.sshfs {
		s.Mount.Subtype = "sshfs"
	}
	p := parser{s: s, args: args}
	if err := p.run(); err != nil {
		return nil, err
	}
	if s.Help || s.Version {
		return s, nil
	}
	if err := s.complete(); err != nil {
		return nil, err
	}
	return s, nil
}

// parser walks over the arguments.
type parser struct {
	s        *Settings
	args     []string
	operands []string
	before   string // the option before the present one in the value of -o, where it is one of ssh's that takes a list with commas
}

func (p *parser) run() error {
	for len(p.args) > 0 {
		arg := p.args[0]
		p.args = p.args[1:]
		var err error
		switch {
		case arg == "--":
			p.operands = append(p.operands, p.args...)
			p.args = nil
		case strings.HasPrefix(arg, "--"):
			err = p.long(arg)
		case len(arg) > 1 && arg[0] == '-':
			err = p.short(arg[1:])
		default:
			p.operands = append(p.operands, arg)
		}
		if err != nil {
			return err
		}
	}
	return p.takeOperands()
}

func (p *parser) long(arg string) error {
	switch arg {
	case "--help":
		p.s.Help = true
	case "--version":
		p.s.Version = true
	case "--debug":
		p.s.Debug = true
	case "--foreground":
		p.s.Foreground = true
	case "--verbose": // of older sshfs; what it showed is in the log
	default:
		return faultf("unknown option %s; mount options are written -o NAME or -o NAME=VALUE", arg)
	}
	return nil
}

// short reads a cluster of one-letter flags; one that takes a value has the
// rest of the cluster for it, or the next argument.
func (p *parser) short(cluster string) error {
	for i := 0; i < len(cluster); i++ {
		flag := cluster[i]
		if strings.IndexByte("opFtN", flag) < 0 {
			if err := p.flag(flag); err != nil {
				return err
			}
			continue
		}
		value := cluster[i+1:]
		if value == "" {
			if len(p.args) == 0 {
				return faultf("-%c needs a value", flag)
			}
			value, p.args = p.args[0], p.args[1:]
		}
		return p.flagWithValue(flag, value)
	}
	return nil
}

func (p *parser) flag(flag byte) error {
	s := p.s
	if s.form.helper {
		// What mount(8) says to its helpers.
		switch flag {
		case 's':
			s.form.sloppy = true
			return nil
		case 'f':
			s.Fake = true
			return nil
		case 'n', 'v', 'w':
			return nil
		}
	}
	switch flag {
	case 'h':
		s.Help = true
	case 'V':
		s.Version = true
	case 'd':
		s.Debug = true
	case 'f':
		s.Foreground = true
	case 'v':
	case 'r': // libfuse's, besides that of mount(8)
		s.Mount.ReadOnly = true
	case 's':
		s.Mount.SingleThreaded = true
	case 'C':
		s.Dial.Compression = true
	case '1':
		return p.option("ssh_protocol=1")
	default:
		return unknownFlag(flag)
	}
	return nil
}

// flagsOfSSH are flags of ssh(1) that are no flags of sshfs, and the mount options that do what they do.
var flagsOfSSH = map[byte]string{'i': "IdentityFile=FILE", 'J': "ProxyJump=HOST", 'l': "User=NAME", 'c': "Ciphers=LIST",
	'4': "AddressFamily=inet", '6': "AddressFamily=inet6"}

func unknownFlag(flag byte) error {
	if option := flagsOfSSH[flag]; option != "" {
		return faultf("unknown option -%c; what it does for ssh is written -o %s here", flag, option)
	}
	return faultf("unknown option -%c; 'sshmount --help' shows the known ones", flag)
}

func (p *parser) flagWithValue(flag byte, value string) error {
	switch flag {
	case 'o':
		p.before = ""
		for _, o := range splitOptions(value) {
			if err := p.option(o); err != nil {
				return err
			}
		}
	case 'p':
		port, err := parsePort(value)
		if err != nil {
			return faultf("-p: %v", err)
		}
		p.s.Dial.Port = port
	case 'F':
		if value == "none" {
			p.s.Dial.ConfigFile = value
			return nil
		}
		if err := file(func(s *Settings) *string { return &s.Dial.ConfigFile })(p.s, value); err != nil {
			return faultf("-F: %v", err)
		}
		if !exists(p.s.Dial.ConfigFile) {
			return faultf("-F: there is no file %s", value)
		}
	default: // -t and -N come from mount(8): the type, and a namespace that it has already entered
		if !p.s.form.helper {
			return unknownFlag(flag)
		}
	}
	return nil
}

// splitOptions splits the value of -o at commas. A backslash takes the special meaning
// from the next character; with three octal digits it stands for that byte, as mount(8)
// writes blanks.
func splitOptions(list string) []string {
	var options []string
	var word strings.Builder
	for i := 0; i < len(list); i++ {
		c := list[i]
		switch {
		case c == '\\' && i+3 < len(list) && list[i+1] <= '3' && isOctal(list[i+1:i+4]):
			word.WriteByte((list[i+1]-'0')<<6 | (list[i+2]-'0')<<3 | (list[i+3] - '0'))
			i += 3
		case c == '\\' && i+1 < len(list):
			i++
			word.WriteByte(list[i])
		case c == ',':
			options = append(options, word.String())
			word.Reset()
		default:
			word.WriteByte(c)
		}
	}
	return append(options, word.String())
}

func isOctal(s string) bool {
	return strings.Trim(s, "01234567") == ""
}

// option applies one option of -o: one of the table, one of ssh's, or a remark of /etc/fstab.
func (p *parser) option(o string) error {
	if o == "" || strings.HasPrefix(o, "x-") || strings.HasPrefix(o, "X-") {
		return nil
	}
	name, value, given := strings.Cut(o, "=")
	row, known := byName[name]
	keyword, ssh := sshKeyword(name)
	before := p.before
	p.before = ""
	if ssh && given && hasCommas[keyword] {
		p.before = keyword
	}
	var err error
	switch {
	case known && (given == (row.Value != "") || row.Optional || row.Mounts && p.s.form.behindMount()):
		err = row.apply(p.s, value)
	case ssh && (given || !known):
		err = p.s.setSSH(keyword, value)
	case known && given:
		err = errors.New("it takes no value")
	case known:
		err = fmt.Errorf("it needs a value: -o %s=%s", name, row.Value)
	case p.s.form.sloppy:
		p.s.warn(fmt.Sprintf("unknown option %q is passed over (mount -s)", o))
	case before != "":
		return faultf("unknown option %q; if it belongs to the value of %s, the comma before it is written \\,", name, before)
	default:
		return unknown(name)
	}
	if err != nil {
		return faultf("option %s: %v", name, err)
	}
	return nil
}

func (p *parser) takeOperands() error {
	if len(p.operands) == 2 && !isTarget(p.operands[0]) && !isTarget(p.operands[1]) {
		return faultf("neither %q nor %q has a colon, so which is the remote side? write [user@]host:[dir]", p.operands[0], p.operands[1])
	}
	for _, o := range p.operands {
		switch {
		case p.s.Source == "" && isTarget(o):
			p.s.Source = o
		case p.s.Mountpoint == "":
			p.s.Mountpoint = o
		default:
			return faultf("%q is one operand too many; a mount has two: [user@]host:[dir] and the mount point", o)
		}
	}
	if p.s.Help || p.s.Version {
		return nil
	}
	switch {
	case p.s.Source == "" && p.s.Mountpoint == "":
		return faultf("nothing to mount: write sshmount [user@]host:[dir] mountpoint")
	case p.s.Source == "":
		return faultf("the remote side is missing (or has no colon): write [user@]host:[dir] before %q. "+
			"If that was to be a command: sshmount --help names those there are", p.s.Mountpoint)
	case p.s.Mountpoint == "":
		return faultf("the mount point is missing: write a directory of this machine behind %q", p.s.Source)
	}
	return nil
}
