package sftpserve

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// NewKey makes a fresh ed25519 key, and its text as OpenSSH keeps it.
func NewKey() (ssh.Signer, []byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "sshmount serve")
	if err != nil {
		return nil, nil, err
	}
	return signer, pem.EncodeToMemory(block), nil
}

// LoadKey reads a private key without a passphrase.
func LoadKey(file string) (ssh.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// LoadUsers reads the keys of a file in the format of authorized_keys. Options
// before a key are refused: they would promise limits that this server has not.
func LoadUsers(file string) ([]ssh.PublicKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var keys []ssh.PublicKey
	for len(text) > 0 {
		key, _, options, rest, err := ssh.ParseAuthorizedKey(text)
		if err != nil {
			break // nothing but blanks and remarks is left
		}
		if len(options) > 0 {
			return nil, fmt.Errorf("%s: options before a key (%s) are not supported", file, options[0])
		}
		keys, text = append(keys, key), rest
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: no key in it", file)
	}
	return keys, nil
}

// Client is what a client needs to log in, in the files of a directory.
type Client struct {
	Dir        string
	Key        ssh.PublicKey
	KeyFile    string
	KnownHosts string
	Config     string // an ssh configuration with the host alias "try"

	madeDir bool // the directory was not there before
}

// NewClient makes a directory (0700) with a fresh key in it. Files that are there already are refused.
func NewClient(dir string) (*Client, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	made := os.Mkdir(dir, 0o700)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return nil, made
	}
	signer, text, err := NewKey()
	if err != nil {
		return nil, err
	}
	c := &Client{Dir: dir, Key: signer.PublicKey(), KeyFile: filepath.Join(dir, "id_ed25519"),
		KnownHosts: filepath.Join(dir, "known_hosts"), Config: filepath.Join(dir, "ssh_config"), madeDir: made == nil}
	return c, writeNew(c.KeyFile, text)
}

// Discard takes away what NewClient has made, for a server that did not start: the next one may use the same directory.
func (c *Client) Discard() {
	os.Remove(c.KeyFile)
	if c.madeDir {
		os.Remove(c.Dir) // only where nothing else is in it
	}
}

// Trust writes down the server's address and host key, and a configuration that names them; where it fails it leaves neither.
func (c *Client) Trust(addr *net.TCPAddr, hostKey ssh.PublicKey) error {
	name := "nobody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	known := knownhosts.Line([]string{net.JoinHostPort(host, strconv.Itoa(addr.Port))}, hostKey) + "\n"
	config := fmt.Sprintf("Host try\n  HostName %s\n  Port %d\n  User %s\n  IdentityFile %q\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile %q\n  StrictHostKeyChecking yes\n",
		host, addr.Port, name, c.KeyFile, c.KnownHosts)
	if err := writeNew(c.KnownHosts, []byte(known)); err != nil {
		return err
	}
	err := writeNew(c.Config, []byte(config))
	if err != nil {
		os.Remove(c.KnownHosts)
	}
	return err
}

// writeNew writes a private file that is not there yet.
func writeNew(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
