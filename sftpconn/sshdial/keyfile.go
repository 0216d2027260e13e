package sshdial

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// A keyFile is one IdentityFile, as far as it can be read without asking.
type keyFile struct {
	path   string
	public ssh.PublicKey              // nil where it is in the encrypted part of the file
	signer ssh.Signer                 // nil where there is no private key that can be read
	open   func() (ssh.Signer, error) // for a private key whose public part is encrypted, too; else nil
}

// files reads what IdentityFile names.
func (k *keyring) files() []keyFile {
	names, given := k.cfg.values["identityfile"], true
	if len(names) == 0 {
		names, given = defaultIdentityFiles, false
	} else if slices.Equal(names, k.cfg.defaults["identityfile"]) {
		given = false
	}
	var files []keyFile
	for _, name := range names {
		if strings.EqualFold(name, "none") {
			continue
		}
		f, err := k.readKeyFile(k.cfg.expandPath(unquote(name)))
		switch {
		case err == nil:
			files = append(files, f)
		case given || !errors.Is(err, os.ErrNotExist):
			k.notes = append(k.notes, err.Error())
		}
	}
	return files
}

// readKeyFile reads a private key, or the public part beside it.
func (k *keyring) readKeyFile(path string) (keyFile, error) {
	f := keyFile{path: path}
	content, err := os.ReadFile(path)
	if err != nil {
		// The private key may be in the agent alone.
		if f.public = readPublicKey(path + ".pub"); f.public != nil {
			return f, nil
		}
		if pathErr, ok := errors.AsType[*os.PathError](err); ok {
			return f, fmt.Errorf("%s: %w", path, pathErr.Err)
		}
		return f, err
	}
	defer wipe(content)
	if f.public = readPublicKey(path); f.public != nil {
		return f, nil
	}
	// A key that others can read is no secret; ssh doesn't use it either.
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == os.Getuid() {
			return f, fmt.Errorf("%s is left out: others may read it (mode %04o); chmod 600 it", path, info.Mode().Perm())
		}
	}
	signer, err := ssh.ParsePrivateKey(content)
	locked, isLocked := errors.AsType[*ssh.PassphraseMissingError](err)
	switch {
	case err == nil:
		f.public, f.signer = signer.PublicKey(), signer
		return f, nil
	case isLocked:
		f.public = locked.PublicKey
		if f.public == nil {
			f.public = readPublicKey(path + ".pub")
		}
		if f.onSecurityKey() {
			return f, nil
		}
		open := func() (ssh.Signer, error) { return k.unlock(path, f.public) }
		if f.public == nil {
			f.open = open
		} else {
			f.signer = &lockedSigner{public: f.public, open: open}
		}
		return f, nil
	}
	if f.public = readPublicKey(path + ".pub"); f.onSecurityKey() {
		return f, nil
	}
	f.public = nil
	if bytes.Contains(content, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
		k.lacking = fmt.Sprintf("%s is an encrypted PKCS#8 key", path)
	}
	return f, fmt.Errorf("%s cannot be read as a private key: %w", path, plain(err))
}

// onSecurityKey reports whether the private key is not in the file but on a device, which ssh and agents can use. The key is offered all
// the same: only if the server would accept it the login is handed over to ssh.
func (f *keyFile) onSecurityKey() bool {
	if f.public == nil || !strings.HasPrefix(f.public.Type(), "sk-") {
		return false
	}
	f.signer = &lockedSigner{public: f.public, open: func() (ssh.Signer, error) { return nil, errSecurityKey }}
	return true
}

// errSecurityKey means that the server would accept a key with which this program can't sign.
var errSecurityKey = errors.New("it is on a security key, and the agent does not hold it")

// readPublicKey reads a file in the format of id_….pub; nil where it is none.
func readPublicKey(path string) ssh.PublicKey {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(content)
	if err != nil {
		return nil
	}
	return pub
}

// certificates reads what CertificateFile names, and KEY-cert.pub beside each key.
func (k *keyring) certificates(files []keyFile) []*ssh.Certificate {
	var certs []*ssh.Certificate
	add := func(path string, given bool) {
		cert, ok := readPublicKey(path).(*ssh.Certificate)
		switch {
		case ok:
			certs = append(certs, cert)
		case given:
			k.notes = append(k.notes, path+" cannot be read as a certificate")
		}
	}
	for _, name := range k.cfg.values["certificatefile"] {
		if !strings.EqualFold(name, "none") {
			add(k.cfg.expandPath(unquote(name)), true)
		}
	}
	for _, f := range files {
		add(strings.TrimSuffix(f.path, ".pub")+"-cert.pub", false)
	}
	return certs
}

// unlock asks for the passphrase of a key, as often as for a password. public is its public part, nil where that is not known.
func (k *keyring) unlock(path string, public ssh.PublicKey) (ssh.Signer, error) {
	// The file may have another key by now.
	if s := k.kept.getSigner(path); s != nil && (public == nil || bytes.Equal(s.PublicKey().Marshal(), public.Marshal())) {
		return s, nil
	}
	if s := k.opened[path]; s != nil {
		return s, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer wipe(content)
	for range k.cfg.number("numberofpasswordprompts", 3) {
		answer, err := k.ask.ask(fmt.Sprintf("Enter passphrase for key '%s': ", path), false)
		if err != nil {
			return nil, fmt.Errorf("%s is encrypted, and its passphrase cannot be asked for: %w", path, err)
		}
		if answer == "" {
			return nil, fmt.Errorf("%s is encrypted, and no passphrase was given", path)
		}
		secret := []byte(answer)
		s, err := k.decrypt(path, content, secret)
		wipe(secret)
		if err == nil {
			k.opened[path] = s
			return s, nil
		}
		if !errors.Is(err, x509.IncorrectPasswordError) {
			return nil, fmt.Errorf("%s cannot be decrypted: %w", path, plain(err))
		}
	}
	return nil, fmt.Errorf("wrong passphrase for %s", path)
}

// decrypt opens a private key, and gives it to the agent where AddKeysToAgent says so.
func (k *keyring) decrypt(path string, content, secret []byte) (ssh.Signer, error) {
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(content, secret)
	if err != nil {
		return nil, err
	}
	s, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return nil, err
	}
	if key, wanted := k.cfg.keyForAgent(); wanted {
		key.PrivateKey, key.Comment = raw, path
		if err := addToAgent(k.cfg.agentSocket(), key); err != nil {
			k.ask.log.Warn("the key could not be added to the agent (AddKeysToAgent)", "key", path, "error", err)
		}
	}
	return s, nil
}

// lockedSigner is a key whose public part is known and whose private part is
// unlocked when a signature is needed.
type lockedSigner struct {
	public ssh.PublicKey
	open   func() (ssh.Signer, error)
}

var _ ssh.AlgorithmSigner = (*lockedSigner)(nil)

func (l *lockedSigner) PublicKey() ssh.PublicKey { return l.public }

func (l *lockedSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return l.SignWithAlgorithm(rand, data, "")
}

func (l *lockedSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s, err := l.open()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(s.PublicKey().Marshal(), l.public.Marshal()) {
		return nil, errors.New("the .pub file beside the key belongs to another key")
	}
	if as, ok := s.(ssh.AlgorithmSigner); ok && algorithm != "" {
		return as.SignWithAlgorithm(rand, data, algorithm)
	}
	return s.Sign(rand, data)
}

// unquote takes off the quotes that some versions of ssh leave in `ssh -G`.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
