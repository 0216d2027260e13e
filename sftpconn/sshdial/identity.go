package sshdial

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// An identity is a key to offer. Its private part may still be locked: the passphrase
// is asked for only when a server has said that it would accept the key.
type identity struct {
	name   string     // for messages: the file, or the agent's comment
	signer ssh.Signer // nil for a key of which even the public part is locked
	open   func() (ssh.Signer, error)
}

// defaultIdentityFiles are tried where the configuration names none.
var defaultIdentityFiles = []string{"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"}

// putFirst moves the key that worked at the last login to the front: each key that is
// offered costs a round trip, and is one of the few attempts that a server allows.
func putFirst(list []identity, blob string) {
	i := slices.IndexFunc(list, func(id identity) bool {
		return id.signer != nil && string(id.signer.PublicKey().Marshal()) == blob
	})
	if i > 0 {
		first := list[i]
		copy(list[1:], list[:i])
		list[0] = first
	}
}

// A keyring finds the keys of a hop.
type keyring struct {
	cfg     *hostConfig
	ask     *asker
	kept    *secrets
	opened  map[string]ssh.Signer // encrypted keys that were opened during this login, by file
	notes   []string              // what was left out, and why
	lacking string                // a key that only the system's ssh could use; "" for none
}

// identities lists the keys in the order to offer them: those named in the
// configuration that the agent holds, the agent's others, the rest of the files.
// A certificate goes before its key.
func (k *keyring) identities(fromAgent []ssh.Signer) []identity {
	files := k.files()
	certs := k.certificates(files)
	onlyNamed := k.cfg.yes("identitiesonly", false)

	var list []identity
	offer := func(name string, s ssh.Signer, ring []*ssh.Certificate) {
		s = k.restrict(name, s)
		if s == nil {
			return
		}
		for _, c := range ring {
			if !bytes.Equal(c.Key.Marshal(), s.PublicKey().Marshal()) {
				continue
			}
			if cs, err := ssh.NewCertSigner(c, s); err == nil {
				list = append(list, identity{name: name + " with certificate" + outOfDate(c), signer: cs})
			}
		}
		list = append(list, identity{name: name + outOfDate(s.PublicKey()), signer: s})
	}

	used := map[string]bool{}
	for i := range files {
		if files[i].public == nil {
			continue
		}
		for _, s := range fromAgent {
			blob := string(s.PublicKey().Marshal())
			if blob == string(files[i].public.Marshal()) && !used[blob] {
				used[blob] = true
				offer(files[i].path+" (agent)", s, certs)
			}
		}
	}
	for _, s := range fromAgent {
		blob := string(s.PublicKey().Marshal())
		named := slices.ContainsFunc(certs, func(c *ssh.Certificate) bool {
			return string(c.Marshal()) == blob || string(c.Key.Marshal()) == blob
		})
		if used[blob] || onlyNamed && !named {
			continue
		}
		used[blob] = true
		offer("agent key "+agentComment(s), s, certs)
	}
	for _, f := range files {
		switch {
		case f.open != nil:
			list = append(list, identity{name: f.path, open: f.open})
		case f.signer == nil && f.public != nil && !used[string(f.public.Marshal())]:
			k.notes = append(k.notes, f.path+" is only the public part, and the agent does not hold that key")
		case f.signer != nil && !used[string(f.public.Marshal())]:
			used[string(f.public.Marshal())] = true
			offer(f.path, f.signer, certs)
		}
	}
	return list
}

// outOfDate says of a certificate that it does not count now by this machine's clock; "" of any other key. It is offered all the same:
// it is the server's clock that matters.
func outOfDate(key ssh.PublicKey) string {
	if !isCertificate(key.Type()) {
		return ""
	}
	if held, ok := key.(*agent.Key); ok {
		var err error
		if key, err = ssh.ParsePublicKey(held.Blob); err != nil {
			return ""
		}
	}
	cert, ok := key.(*ssh.Certificate)
	now := uint64(time.Now().Unix())
	switch {
	case !ok:
		return ""
	case now >= cert.ValidBefore:
		return " that expired at " + time.Unix(int64(cert.ValidBefore), 0).Format(time.DateTime)
	case now < cert.ValidAfter:
		return " that is not valid before " + time.Unix(int64(cert.ValidAfter), 0).Format(time.DateTime)
	}
	return ""
}

func agentComment(s ssh.Signer) string {
	if key, ok := s.PublicKey().(*agent.Key); ok && key.Comment != "" {
		return clip(key.Comment, 60)
	}
	return ssh.FingerprintSHA256(s.PublicKey())
}

// restrict limits a signer to the algorithms that the configuration accepts; nil
// where there are none.
func (k *keyring) restrict(name string, s ssh.Signer) ssh.Signer {
	if err := k.cfg.bigEnough(s.PublicKey()); err != nil {
		k.notes = append(k.notes, fmt.Sprintf("%s is left out: %v", name, err))
		return nil
	}
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return s
	}
	format := plainFormat(s.PublicKey().Type())
	algos := k.cfg.keyAlgorithms(format)
	if len(algos) == 0 {
		k.notes = append(k.notes, fmt.Sprintf("%s is left out: PubkeyAcceptedAlgorithms has no %s", name, format))
		return nil
	}
	restricted, err := ssh.NewSignerWithAlgorithms(as, algos)
	if err != nil {
		k.notes = append(k.notes, fmt.Sprintf("%s is left out: %v", name, plain(err)))
		return nil
	}
	return restricted
}

// plainFormat is the format of the key in a certificate of format t.
func plainFormat(t string) string {
	if base, ok := strings.CutSuffix(t, "-cert-v01@openssh.com"); ok {
		if strings.HasPrefix(base, "sk-") {
			return base + "@openssh.com"
		}
		return base
	}
	return t
}
