package sshdial

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A target is a host as it was written on the command line, or as a ProxyJump in a
// configuration.
type target struct{ host, user, port string }

// flags are the flags of ssh for t. Of several values for one key ssh takes the first, so they go before other options: the address was
// written for this one host.
func (t target) flags() []string {
	var args []string
	if t.port != "" {
		args = append(args, "-p", t.port)
	}
	if t.user != "" {
		args = append(args, "-l", t.user)
	}
	return args
}

// hostConfig is the configuration of one hop. Keys are lower case. A key that
// can be given several times (IdentityFile) has several values; one that takes a
// list (UserKnownHostsFile) has it as one string, as ssh prints it.
type hostConfig struct {
	alias    string // the host as it was written
	values   map[string][]string
	defaults map[string][]string // the values without any configuration; nil where they are not known
}

// get returns the first value; "" where there is none.
func (c *hostConfig) get(key string) string {
	if v := c.values[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// getUnlessNone is get, with "none" taken for nothing.
func (c *hostConfig) getUnlessNone(key string) string {
	if v := c.get(key); !strings.EqualFold(v, "none") {
		return v
	}
	return ""
}

// yes reports a switch; ssh prints some as yes/no and some as true/false.
func (c *hostConfig) yes(key string, otherwise bool) bool {
	switch strings.ToLower(c.get(key)) {
	case "yes", "true":
		return true
	case "no", "false":
		return false
	}
	return otherwise
}

// number returns a count; otherwise where it is not set or no number.
func (c *hostConfig) number(key string, otherwise int) int {
	if n, err := strconv.Atoi(c.get(key)); err == nil && n >= 0 {
		return n
	}
	return otherwise
}

// isDefault reports whether a list is the built-in one of ssh: then changing its order
// overrides nobody's wish.
func (c *hostConfig) isDefault(key string) bool {
	d := c.defaults[key]
	return len(c.values[key]) == 0 || len(d) > 0 && d[0] == c.get(key)
}

func (c *hostConfig) user() string     { return c.get("user") }
func (c *hostConfig) hostName() string { return c.get("hostname") }
func (c *hostConfig) port() string     { return cmp.Or(c.get("port"), "22") }

// name is the host in messages: as the user has written it, with the real name where
// that differs, and the port where that is not 22.
func (c *hostConfig) name() string {
	n := c.alias
	if h := c.hostName(); h != "" && h != n {
		n += " (" + h + ")"
	}
	if p := c.port(); p != "22" {
		n += " port " + p
	}
	return n
}

// promptHost is the host in questions, as ssh writes it: scripts wait for these words.
func (c *hostConfig) promptHost() string {
	if alias := c.getUnlessNone("hostkeyalias"); alias != "" {
		return alias
	}
	return strings.ToLower(c.hostName())
}

// connectTimeout returns ConnectTimeout; 0 where it is not set.
func (c *hostConfig) connectTimeout() time.Duration {
	return parseSeconds(c.get("connecttimeout"))
}

// parseSeconds is parseTime with 0 for what is none.
func parseSeconds(s string) time.Duration {
	d, _ := parseTime(s)
	return d
}

// longestTime is the longest that ssh takes, in seconds: an int of C.
const longestTime = math.MaxInt32 * time.Second

// parseTime reads a time as ssh_config writes them: seconds, or with units
// ("1m30s", also days and weeks). A number may have a '+'.
func parseTime(s string) (d time.Duration, ok bool) {
	var total, n time.Duration
	digits, signed := false, false // of the number that is read
	for i, r := range strings.ToLower(s) {
		unit := time.Duration(0)
		switch {
		case r >= '0' && r <= '9' && n < 1<<40:
			n, digits = n*10+time.Duration(r-'0'), true
			if i < len(s)-1 {
				continue
			}
			unit = time.Second
		case r == '+' && n == 0 && !digits && !signed:
			signed = true
			continue
		case !digits:
			return 0, false
		case r == 's':
			unit = time.Second
		case r == 'm':
			unit = time.Minute
		case r == 'h':
			unit = time.Hour
		case r == 'd':
			unit = 24 * time.Hour
		case r == 'w':
			unit = 7 * 24 * time.Hour
		default:
			return 0, false
		}
		if n > (longestTime-total)/unit {
			return 0, false
		}
		total, n, digits, signed = total+n*unit, 0, false, false
	}
	return total, s != "" && !signed
}

// checkHost refuses a host or user (what says which) that a program which gets it as
// an argument could take for an option, and one that can be none. given is as of ConfigError.
func checkHost(given bool, what, s string) error {
	if strings.HasPrefix(s, "-") {
		return badConfig(given, "%s %q begins with '-', which no %s does", what, s, what)
	}
	if strings.ContainsAny(s, "\x00\n\r\t ") {
		return badConfig(given, "%s %q contains white space", what, s)
	}
	return nil
}

// Characters that a given host or user must not contain, because ProxyCommand and Match exec pass both to a shell. They are those that
// OpenSSH refuses since 9.6. An older ssh accepts them, and so does the library that reads the configuration where there is no ssh.
const (
	notInHost = "'`\"$\\;&<>|(){},"
	notInUser = "'`\";&<>|(){}"
)

// checkGiven refuses a host or user of an address that ssh or a shell could take for something else.
func checkGiven(t target) error {
	if err := errors.Join(checkHost(true, "host", t.host), checkHost(true, "user", t.user)); err != nil {
		return err
	}
	if strings.ContainsAny(t.host, notInHost) {
		return badConfig(true, "host %q contains a character that no host has", t.host)
	}
	if strings.ContainsAny(t.user, notInUser) || strings.HasSuffix(t.user, `\`) {
		return badConfig(true, "user %q contains a character that a shell would take for a command", t.user)
	}
	return nil
}

// A configSource is where the configuration of a hop is read from: files and options.
type configSource struct {
	ssh     string // path of ssh; "" where none is installed
	file    string // -F
	options []string
	alone   bool // see sshG
}

// resolve returns what the configuration says about t.
func (s configSource) resolve(ctx context.Context, t target) (*hostConfig, error) {
	if t.host == "" {
		return nil, badConfig(true, "no host is given")
	}
	if err := checkGiven(t); err != nil {
		return nil, err
	}
	if t.port != "" {
		if n, err := strconv.Atoi(t.port); err != nil || n < 1 || n > 65535 {
			return nil, badConfig(true, "port %q is no number from 1 to 65535", t.port)
		}
	}
	resolve := s.resolveBySSH
	if s.ssh == "" {
		resolve = s.resolveByLibrary
	}
	c, err := resolve(ctx, t)
	if err != nil {
		return nil, err
	}
	// What the files make of the alias reaches other programs' arguments too.
	if err := errors.Join(checkHost(s.gives("hostname"), "host", c.hostName()), checkHost(s.gives("user"), "user", c.user())); err != nil {
		return nil, err
	}
	return c, nil
}

// gives says whether a key is among the options.
func (s configSource) gives(key string) bool {
	return slices.ContainsFunc(s.options, func(o string) bool {
		k, _, err := splitOption(o)
		return err == nil && k == key
	})
}

// resolveBySSH asks ssh itself.
func (s configSource) resolveBySSH(ctx context.Context, t target) (*hostConfig, error) {
	// The second run goes on beside the first. It shows which lists of algorithms are
	// ssh's defaults and not a wish.
	defaults := make(chan map[string][]string, 1)
	go func() {
		v, _ := sshG{s.ssh, s.alone}.run(ctx, []string{"-F", "none"}, "localhost")
		defaults <- v
	}()
	var args []string
	if s.file != "" {
		args = append(args, "-F", s.file)
	}
	args = append(args, t.flags()...)
	for _, o := range s.options {
		args = append(args, "-o", o)
	}
	values, err := sshG{s.ssh, s.alone}.run(ctx, args, t.host)
	d := <-defaults
	if err != nil {
		return nil, err
	}
	return &hostConfig{alias: t.host, values: values, defaults: d}, nil
}
