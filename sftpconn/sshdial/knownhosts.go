package sshdial

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// knownHosts is what the known_hosts files say about one host. It is read anew for
// each login, so that a key is noticed that was removed or revoked meanwhile.
type knownHosts struct {
	db         *knownhosts.HostKeyDB
	revoked    []revokedKey
	renamed    map[string]string // file that was read → file of the user of which it is a copy
	address    string            // host:port, by which the host is looked up
	plain      string            // host:22, tried after that; "" where it is the same
	file       string            // the file that new keys are added to; "" for none
	signatures string            // algorithms by which authorities may sign (CASignatureAlgorithms); "" for all
}

// noAddress takes the place of the server's IP address: nothing is looked up by it,
// because addresses change hands and names seldom do (CheckHostIP is off in OpenSSH, too).
var noAddress = &net.TCPAddr{IP: net.IPv4zero}

// hostKeyVerdict is a verdict of knownHosts.check.
type hostKeyVerdict int

const (
	hostKeyKnown hostKeyVerdict = iota
	hostKeyUnknown
	hostKeyChanged
	hostKeyRevoked
	hostKeyBadlySigned // a certificate whose authority is known, signed by an algorithm that CASignatureAlgorithms leaves out
)

// loadKnownHosts reads the files that the configuration names.
func loadKnownHosts(c *hostConfig, log *slog.Logger) (*knownHosts, error) {
	k := &knownHosts{renamed: map[string]string{}, signatures: c.get("casignaturealgorithms")}
	if alias := c.getUnlessNone("hostkeyalias"); alias != "" {
		// An alias stands for the whole entry, so it may be one with a port.
		if k.address = alias; !strings.HasPrefix(alias, "[") {
			k.address = net.JoinHostPort(alias, "22")
		}
	} else {
		host := strings.ToLower(c.hostName())
		k.address = net.JoinHostPort(host, c.port())
		if c.port() != "22" {
			k.plain = net.JoinHostPort(host, "22")
		}
	}
	user := k.names(c, "userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2")
	global := k.names(c, "globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2")
	if len(user) > 0 {
		k.file = user[0]
	}

	var files []*knownFile
	defer func() {
		for _, f := range files {
			f.forget()
		}
	}()
	for _, name := range slices.Concat(user, global) {
		content, err := os.ReadFile(name)
		if err != nil {
			continue // absent and unreadable files are no files, as for ssh
		}
		f := &knownFile{name: name, read: name}
		files = append(files, f)
		clean, revoked, changed := understoodLines(content)
		for _, r := range revoked {
			r.known.Filename = name
			k.revoked = append(k.revoked, r)
		}
		if changed {
			if err := f.replace(clean); err != nil {
				return nil, err
			}
		}
	}
	for {
		var read []string
		for _, f := range files {
			read = append(read, f.read)
			k.renamed[f.read] = f.name
		}
		db, err := knownhosts.NewDB(read...)
		if err == nil {
			k.db = db
			return k, nil
		}
		if err := leaveOut(files, err, log); err != nil {
			return nil, err
		}
	}
}

func (k *knownHosts) names(c *hostConfig, key, otherwise string) []string {
	list := c.get(key)
	if list == "" {
		list = otherwise
	}
	if strings.EqualFold(list, "none") {
		return nil
	}
	files := splitFiles(list)
	for i := range files {
		files[i] = c.expandPath(files[i])
	}
	return files
}

// check looks a key up. For a changed key, known holds the entries that contradict it;
// for an unknown one, those of keys of other types. fault says why a certificate is not
// accepted although an authority of this host has signed it.
func (k *knownHosts) check(key ssh.PublicKey) (v hostKeyVerdict, known []xknownhosts.KnownKey, fault error) {
	if cert, ok := key.(*ssh.Certificate); ok {
		// An authority that is named without a port counts on every port of the host, as a key does.
		for _, address := range k.addresses() {
			if revoked := k.revokedAt(address, key); revoked != nil {
				return hostKeyRevoked, revoked, nil
			}
			err := k.db.HostKeyCallback()(address, noAddress, key)
			if err == nil && !k.signing(cert.Signature.Format) {
				return hostKeyBadlySigned, nil, nil
			}
			if err == nil {
				return hostKeyKnown, nil, nil
			}
			if !strings.Contains(err.Error(), "no authorities for hostname") {
				fault = err
			}
		}
		// No authority signs for this host, or not like this: the key in the
		// certificate may be known by itself.
		key = cert.Key
	}
	v, known = k.look(k.address, key)
	if v == hostKeyUnknown && k.plain != "" {
		// A server that moved to another port still has its key.
		if pv, revoked := k.look(k.plain, key); pv == hostKeyKnown || pv == hostKeyRevoked {
			return pv, revoked, fault
		}
	}
	return v, known, fault
}

// addresses are those by which the host is looked up, one after the other: with its port, then without.
func (k *knownHosts) addresses() []string {
	if k.plain == "" {
		return []string{k.address}
	}
	return []string{k.address, k.plain}
}

func (k *knownHosts) look(address string, key ssh.PublicKey) (hostKeyVerdict, []xknownhosts.KnownKey) {
	if revoked := k.revokedAt(address, key); revoked != nil {
		return hostKeyRevoked, revoked
	}
	err := k.db.HostKeyCallback()(address, noAddress, key)
	mismatch, isMismatch := errors.AsType[*xknownhosts.KeyError](err)
	switch {
	case err == nil:
		return hostKeyKnown, nil
	case !isMismatch:
		return hostKeyUnknown, nil
	}
	authorities := map[string]bool{}
	for _, a := range k.db.HostKeys(address) {
		if a.Cert {
			authorities[string(a.Marshal())] = true
		}
	}
	var same, other []xknownhosts.KnownKey
	for _, w := range mismatch.Want {
		switch {
		case authorities[string(w.Key.Marshal())]:
		case w.Key.Type() == key.Type():
			same = append(same, w)
		default:
			other = append(other, w)
		}
	}
	if len(same) > 0 {
		return hostKeyChanged, k.real(same)
	}
	return hostKeyUnknown, k.real(other)
}

// real replaces the names of files that were read by those of the user's files.
func (k *knownHosts) real(keys []xknownhosts.KnownKey) []xknownhosts.KnownKey {
	for i := range keys {
		if name, ok := k.renamed[keys[i].Filename]; ok {
			keys[i].Filename = name
		}
	}
	return keys
}

// signing reports whether authorities may sign with an algorithm.
func (k *knownHosts) signing(algorithm string) bool {
	return k.signatures == "" || slices.Contains(strings.Split(k.signatures, ","), algorithm)
}

// order puts the algorithms of known keys first, so that the server shows a key that can
// be checked. Certificates are only asked for where an authority for this host is known.
func (k *knownHosts) order(algos []string) []string {
	var known []string
	authority := false
	for _, address := range k.addresses() {
		here := k.db.HostKeyAlgorithms(address)
		// The library names certificates by the type of the authority's key, which says nothing of the host's.
		authority = authority || slices.ContainsFunc(here, isCertificate)
		if len(known) == 0 {
			known = here
		}
	}
	var first, rest []string
	for _, a := range algos {
		switch {
		case slices.Contains(known, a), authority && isCertificate(a):
			first = append(first, a)
		case !isCertificate(a):
			rest = append(rest, a)
		}
	}
	return append(first, rest...)
}

func isCertificate(algorithm string) bool { return strings.Contains(algorithm, "-cert-") }

// add appends a key to the user's file. It does nothing where there is none.
func (k *knownHosts) add(key ssh.PublicKey, hashed bool) error {
	if k.file == "" || k.file == os.DevNull {
		return nil
	}
	name := knownhosts.Normalize(k.address)
	line := knownhosts.Line([]string{k.address}, key)
	if hashed {
		_, rest, _ := strings.Cut(line, " ")
		line = xknownhosts.HashHostname(name) + " " + rest
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(k.file, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	// If the last line has no newline, the new one must not become part of it.
	if size, err := f.Seek(0, 2); err == nil && size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

// keyName is how messages call a key.
func keyName(key ssh.PublicKey) string {
	return fmt.Sprintf("%s %s", keyType(key), ssh.FingerprintSHA256(key))
}

// keyType is the type of a key as OpenSSH writes it: ED25519, ECDSA-SK.
func keyType(key ssh.PublicKey) string {
	t, _, _ := strings.Cut(key.Type(), "-cert-")
	t, _, _ = strings.Cut(t, "@")
	t, sk := strings.CutPrefix(t, "sk-")
	t = strings.TrimPrefix(t, "ssh-")
	t, _, _ = strings.Cut(t, "-sha2-")
	switch {
	case sk:
		t += "-sk"
	case t == "dss":
		t = "dsa"
	}
	return strings.ToUpper(t)
}
