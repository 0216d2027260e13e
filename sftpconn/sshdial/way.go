package sshdial

import (
	"context"
	"errors"
	"strings"
)

// maxHops bounds the jump hosts on the way; more than this is a configuration
// that goes round in circles.
const maxHops = 16

// way lists the hops to c, which is the last of them; alone as of sshG.
func (d *Dialer) way(ctx context.Context, c *hostConfig, depth int, alone bool) ([]*hostConfig, error) {
	if depth > maxHops {
		return nil, badConfig(false, "ProxyJump of %s goes round in circles", d.o.Host)
	}
	jumps := c.getUnlessNone("proxyjump")
	if jumps == "" {
		return []*hostConfig{c}, nil
	}
	list := strings.Split(jumps, ",")
	last, rest := strings.TrimSpace(list[len(list)-1]), list[:len(list)-1]
	t, err := parseTarget(last)
	if err != nil {
		return nil, badConfig(false, "ProxyJump %s: %w", jumps, err)
	}
	// As with ssh, a jump host has the files' configuration and not the options
	// that were given for the server.
	src := configSource{ssh: d.ssh, file: d.o.ConfigFile, alone: alone}
	if len(rest) > 0 {
		src.options = []string{"ProxyJump=" + strings.Join(rest, ",")}
	}
	jump, err := src.resolve(ctx, t)
	if err != nil {
		return nil, badConfig(false, "jump host %s: %w", last, err)
	}
	way, err := d.way(ctx, jump, depth+1, alone)
	if err != nil {
		return nil, err
	}
	return append(way, c), nil
}

// parseTarget reads [user@]host[:port], or the same with ssh:// before it.
func parseTarget(s string) (target, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "ssh://"), "/")
	var t target
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		t.user, s = s[:i], s[i+1:]
	}
	switch {
	case strings.HasPrefix(s, "["):
		host, port, ok := strings.Cut(s[1:], "]")
		if !ok {
			return t, errors.New("'[' without ']'")
		}
		t.host, t.port = host, strings.TrimPrefix(port, ":")
	case strings.Count(s, ":") == 1:
		t.host, t.port, _ = strings.Cut(s, ":")
	default:
		t.host = s
	}
	return t, nil
}
