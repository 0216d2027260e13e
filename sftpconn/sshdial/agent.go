package sshdial

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

const (
	agentListTimeout = 10 * time.Second
	// agentSignTimeout is long: an agent may ask its user, or wait for a touch
	// of a security key.
	agentSignTimeout = 2 * time.Minute
)

// agentSocket is the socket of the agent that the configuration asks for; "" where
// there is none.
func (c *hostConfig) agentSocket() string {
	s := c.get("identityagent")
	switch {
	case strings.EqualFold(s, "none"):
		return ""
	case s == "" || s == "SSH_AUTH_SOCK":
		return os.Getenv("SSH_AUTH_SOCK")
	case strings.HasPrefix(s, "$") && !strings.HasPrefix(s, "${"):
		return os.Getenv(s[1:])
	}
	return c.expandPath(s)
}

// keyForAgent reads AddKeysToAgent: whether keys are to be added to the agent (wanted), and with which constraints (confirm, a time to
// live, or both). 'ask' adds nothing: it would be one more question in a login that has already asked one.
func (c *hostConfig) keyForAgent() (key agent.AddedKey, wanted bool) {
	for word := range strings.FieldsSeq(strings.ToLower(c.get("addkeystoagent"))) {
		life := parseSeconds(word)
		switch {
		case word == "yes", word == "true":
		case word == "confirm":
			key.ConfirmBeforeUse = true
		case life > 0:
			key.LifetimeSecs = uint32(min(life/time.Second, math.MaxUint32))
		default:
			return agent.AddedKey{}, false
		}
		wanted = true
	}
	return key, wanted
}

// addToAgent gives a key to the agent. Without an agent there is nothing to do, and no error.
func addToAgent(socket string, key agent.AddedKey) error {
	if socket == "" {
		return nil
	}
	conn, err := net.DialTimeout("unix", socket, agentListTimeout)
	if err != nil {
		return fmt.Errorf("the agent does not answer: %w", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(agentListTimeout))
	if err := agent.NewClient(conn).Add(key); err != nil {
		return fmt.Errorf("the agent does not take it: %w", plain(err))
	}
	return nil
}

// agentKeys asks the agent for its keys. The caller closes the connection when none of
// them is needed any more. It is also closed when ctx, that of the login, ends: an agent may
// ask its user, and take any time to answer. Without an agent it returns no connection and no error.
func agentKeys(ctx context.Context, socket string) ([]ssh.Signer, net.Conn, error) {
	if socket == "" {
		return nil, nil, nil
	}
	conn, err := (&net.Dialer{Timeout: agentListTimeout}).DialContext(ctx, "unix", socket)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("no agent at %s", socket)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the agent does not answer: %w", err)
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(agentListTimeout))
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("the agent does not list its keys: %w", err)
	}
	conn.SetDeadline(time.Now().Add(agentSignTimeout))
	return signers, conn, nil
}
