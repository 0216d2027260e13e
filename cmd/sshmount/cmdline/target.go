package cmdline

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode"
)

// A target is the first operand, split into its parts.
type target struct {
	user, host, port string
	dir              string // "" is the login directory
}

// isTarget reports whether an operand is the remote side, and not the mount point: it has a colon.
func isTarget(operand string) bool { return strings.Contains(operand, ":") }

// parseTarget reads [user@]host:[dir], with a numeric IPv6 address in square
// brackets, and URLs: sftp://[user@]host[:port][/dir].
func parseTarget(s string) (target, error) {
	t, err := splitTarget(s)
	if err != nil {
		return t, fmt.Errorf("%q: %w", s, err)
	}
	for what, word := range map[string]string{"hostname": t.host, "user name": t.user} {
		// A name that begins with a dash would be read as an option by the programs that it is passed to.
		if strings.HasPrefix(word, "-") {
			return t, fmt.Errorf("%q: invalid %s: it begins with a dash", s, what)
		}
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsControl(r) || what == "hostname" && unicode.IsSpace(r) }) {
			return t, fmt.Errorf("%q: invalid %s: there is a space or a control character in it", s, what)
		}
	}
	if strings.ContainsRune(t.dir, 0) {
		return t, fmt.Errorf("%q: there is a NUL in the name of the directory", s)
	}
	return t, nil
}

func splitTarget(s string) (target, error) {
	for _, scheme := range []string{"sftp://", "ssh://"} {
		if strings.HasPrefix(strings.ToLower(s), scheme) {
			return splitURL(s)
		}
	}
	var t target
	// The colon behind the host is the first that is not in square brackets.
	open := strings.IndexByte(s, '[')
	colon := strings.IndexByte(s, ':')
	if open >= 0 && open < colon {
		end := strings.IndexByte(s[open:], ']')
		if end < 0 {
			return t, errors.New("the square bracket is not closed")
		}
		end += open
		next := strings.IndexByte(s[end:], ':')
		if next < 0 {
			return t, errors.New("there is no colon behind the host; write [ADDRESS]:DIR")
		}
		colon = end + next
		s = s[:open] + s[open+1:end] + s[end+1:]
		colon -= 2
	}
	if colon < 0 {
		return t, errors.New("there is no colon behind the host; write HOST:DIR, or HOST: for the login directory")
	}
	if open < 0 || open > colon {
		if address, dir := bareIPv6(s); address != "" {
			return t, fmt.Errorf("an IPv6 address stands in square brackets: [%s]:%s", address, dir)
		}
	}
	t.host, t.dir = s[:colon], s[colon+1:]
	if at := strings.LastIndexByte(t.host, '@'); at >= 0 {
		t.user, t.host = t.host[:at], t.host[at+1:]
		if t.user == "" {
			return t, errors.New("there is no user before the @")
		}
	}
	return t, nil
}

// bareIPv6 finds an IPv6 address without brackets, alone or before a colon and a directory; "" where there is none. Cut at its first colon
// it would name another host: its first digits alone may even be an IPv4 address.
func bareIPv6(s string) (address, dir string) {
	s = s[strings.LastIndexByte(s[:strings.IndexByte(s, ':')], '@')+1:]
	for end := len(s); end > 0; end = strings.LastIndexByte(s[:end], ':') {
		// A zone may have any characters, and the directory's are not meant.
		if a, err := netip.ParseAddr(s[:end]); err == nil && a.Is6() && !strings.Contains(a.Zone(), "/") {
			return s[:end], strings.TrimPrefix(s[end:], ":")
		}
	}
	return "", ""
}

func splitURL(s string) (target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return target{}, errors.Unwrap(err)
	}
	if _, given := u.User.Password(); given {
		return target{}, errors.New("a password in an address is seen by every user of this machine; leave it out and it is asked for, or use -o password_stdin")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#") {
		return target{}, errors.New("in an address a ? in the name of the directory is written %3F, and a # %23")
	}
	t := target{user: u.User.Username(), host: u.Hostname(), dir: u.Path}
	if u.Port() != "" {
		if t.port, err = parsePort(u.Port()); err != nil {
			return target{}, err
		}
	}
	if rest, ok := strings.CutPrefix(t.dir, "/~"); ok && (rest == "" || rest[0] == '/') {
		t.dir = strings.TrimPrefix(rest, "/")
	}
	if t.host == "" {
		return t, errors.New("there is no host")
	}
	return t, nil
}

// parsePort reads a port's number, or the name of a service.
func parsePort(s string) (string, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > 65535 {
			return "", fmt.Errorf("%q is not a port, 1 to 65535", s)
		}
		return strconv.Itoa(n), nil
	}
	if n, err := net.LookupPort("tcp", s); err == nil && s != "" {
		return strconv.Itoa(n), nil
	}
	return "", fmt.Errorf("%q is not a port, 1 to 65535", s)
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
