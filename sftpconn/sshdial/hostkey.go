package sshdial

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeyCheck decides on the host key of one connection.
type hostKeyCheck struct {
	cfg      *hostConfig
	known    *knownHosts
	mustKnow bool // only a key that is in the files is good enough, whatever the configuration says
	ask      *asker

	unsaved *unsavedKey // of the hop

	mu       sync.Mutex // guards what follows
	accepted []byte     // the key that was accepted, in wire format; the library asks again at each rekeying
	key      ssh.PublicKey
	changed  bool  // it was accepted although it has changed: no password may be given to this server
	err      error // why it was refused
}

// callback is the ssh.HostKeyCallback.
func (h *hostKeyCheck) callback(_ string, remote net.Addr, key ssh.PublicKey) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	blob := key.Marshal()
	if h.accepted != nil && bytes.Equal(blob, h.accepted) {
		return nil
	}
	if h.accepted != nil {
		return permanent("%s showed another host key in the middle of the connection", h.cfg.name())
	}
	if h.err = h.decide(remote, key); h.err != nil {
		return h.err
	}
	h.accepted, h.key = blob, key
	return nil
}

// changedAccepted reports that the connection goes on in spite of a changed key.
func (h *hostKeyCheck) changedAccepted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// decide refuses a key that is not to be accepted. With mu held.
func (h *hostKeyCheck) decide(remote net.Addr, key ssh.PublicKey) error {
	if err := h.cfg.bigEnough(key); err != nil {
		return permanent("the host key of %s is not accepted: %w", h.cfg.name(), err)
	}
	if !h.mustKnow && h.cfg.yes("nohostauthenticationforlocalhost", false) && isLoopback(h.cfg.hostName(), remote) {
		return nil
	}
	verdict, known, fault := h.known.check(key)
	because := ""
	if fault != nil {
		because = fmt.Sprintf("; its certificate does not count: %s", strings.TrimPrefix(fault.Error(), "ssh: "))
	}
	shown := key
	if cert, ok := key.(*ssh.Certificate); ok && verdict != hostKeyKnown {
		shown = cert.Key
	}
	switch verdict {
	case hostKeyKnown:
		return nil
	case hostKeyBadlySigned:
		return permanent("the certificate of %s is signed by %s, which CASignatureAlgorithms leaves out; it is not connected to", h.cfg.name(), key.(*ssh.Certificate).Signature.Format)
	case hostKeyRevoked:
		return permanent("the host key of %s (%s) has been revoked%s; it is not connected to", h.cfg.name(), keyName(shown), places(known))
	case hostKeyChanged:
		if h.strictness() != checkOff {
			return h.refuseChanged(shown, known)
		}
		h.changed = true
		// Only to the log: until the mount is made, that is shown to the user, too.
		h.ask.log.Warn(fmt.Sprintf("the host key of %s has CHANGED to %s%s. StrictHostKeyChecking is off, so the connection goes on, but no password is given to this server.",
			h.cfg.name(), keyName(shown), places(known)))
		return nil
	}
	return h.decideUnknown(remote, shown, known, because)
}

// strictness is what StrictHostKeyChecking says.
type strictness int

const (
	checkAsk strictness = iota
	checkStrictly
	checkAcceptNew
	checkOff
)

func (h *hostKeyCheck) strictness() strictness {
	if h.mustKnow {
		return checkStrictly
	}
	switch strings.ToLower(h.cfg.get("stricthostkeychecking")) {
	case "yes", "true":
		return checkStrictly
	case "accept-new":
		return checkAcceptNew
	case "no", "off", "false":
		return checkOff
	}
	return checkAsk
}

// decideUnknown is decide for a key that is in no file, and adds one that is accepted. others are entries of other types for the host;
// because is what is to be said of a certificate.
func (h *hostKeyCheck) decideUnknown(remote net.Addr, key ssh.PublicKey, others []xknownhosts.KnownKey, because string) error {
	strict := h.strictness()
	if strict != checkOff {
		if known, err := h.checkUnsaved(key); known {
			return err
		}
	}
	switch {
	case strict == checkOff:
		h.ask.warn(fmt.Sprintf("the host key of %s (%s) was not checked: StrictHostKeyChecking is off.", h.cfg.name(), keyName(key)))
	case h.mustKnow:
		return permanent("the configuration leads to %s now, whose host key (%s) is not known: it gets no password that was given for another; compare the key with the server's and add it to %s%s",
			h.cfg.name(), keyName(key), h.known.fileOrNone(), because)
	case strict == checkStrictly:
		return permanent("the host key of %s (%s) is not known, and StrictHostKeyChecking is on; compare it with the server's and add it to %s%s",
			h.cfg.name(), keyName(key), h.known.fileOrNone(), because)
	case strict == checkAsk:
		if err := h.askUser(key, others, remote, because); err != nil {
			return err
		}
	}
	err := h.known.add(key, h.cfg.yes("hashknownhosts", false))
	kept := err == nil && h.known.file != "" && h.known.file != os.DevNull
	if !kept && strict != checkOff {
		h.unsaved.set(key)
	}
	if err != nil {
		h.ask.warn(fmt.Sprintf("the host key of %s (%s) could not be added to %s: %v", h.cfg.name(), keyName(key), h.known.file, err))
		return nil
	}
	if kept {
		h.ask.notice(fmt.Sprintf("Added the host key of %s (%s) to %s.", h.cfg.name(), keyName(key), h.known.file))
	}
	return nil
}

// askUser shows an unknown key and waits for a yes, or for the fingerprint that
// the user has from elsewhere. because is what is to be said of its certificate.
func (h *hostKeyCheck) askUser(key ssh.PublicKey, others []xknownhosts.KnownKey, remote net.Addr, because string) error {
	name := h.cfg.name()
	if !h.ask.possible() {
		why := "there is no terminal to ask on"
		if h.ask.batch {
			why = errBatch.Error()
		}
		return permanent("the host key of %s (%s) is not known, and %s: connect once with ssh and compare the key, or give -o StrictHostKeyChecking=accept-new%s",
			name, keyName(key), why, because)
	}
	if because != "" {
		h.ask.notice(fmt.Sprintf("The host key of %s is not known%s.", name, because))
	}
	for _, o := range others {
		h.ask.notice(fmt.Sprintf("A key of another type is known for it: %s (%s:%d).", keyName(o.Key), o.Filename, o.Line))
	}
	prompt := h.question(key, len(others) > 0, remote)
	for range 3 {
		answer, err := h.ask.ask(prompt, true)
		if err != nil {
			return permanent("the host key of %s was not confirmed: %w", name, err)
		}
		answer = strings.TrimSpace(answer)
		switch {
		case strings.EqualFold(answer, "yes"), answer == ssh.FingerprintSHA256(key):
			return nil
		case strings.EqualFold(answer, "no"), answer == "":
			return permanent("the host key of %s (%s) was not accepted", name, keyName(key))
		case strings.HasPrefix(answer, "SHA256:"):
			return permanent("the host key of %s is %s and not the one you expect (%s)", name, keyName(key), answer)
		}
		prompt = "Please type 'yes', 'no' or the fingerprint: "
	}
	return permanent("the host key of %s (%s) was not accepted", name, keyName(key))
}

// question is in OpenSSH's words: expect scripts, and programs such as sshpass, look for them.
func (h *hostKeyCheck) question(key ssh.PublicKey, others bool, remote net.Addr) string {
	at := "<no hostip for proxy command>"
	if a, ok := remote.(*net.TCPAddr); ok && remote != noAddress {
		at = knownhosts.Normalize(net.JoinHostPort(a.IP.String(), h.cfg.port()))
	}
	known := "."
	if others {
		known = "\nbut keys of different type are already known for this host."
	}
	return fmt.Sprintf("The authenticity of host '%s (%s)' can't be established%s\n%s key fingerprint is %s.\n"+
		"Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
		knownhosts.Normalize(h.known.address), at, known, keyType(key), ssh.FingerprintSHA256(key))
}

func (h *hostKeyCheck) refuseChanged(key ssh.PublicKey, known []xknownhosts.KnownKey) error {
	entry := known[0]
	return permanent("THE HOST KEY OF %s HAS CHANGED: it shows %s, but %s:%d has %s. "+
		"Somebody may be between you and the server, or the server was set up anew. "+
		"If you are sure of that, remove the old key with: ssh-keygen -f %s -R %s",
		h.cfg.name(), keyName(key), entry.Filename, entry.Line, ssh.FingerprintSHA256(entry.Key),
		quote(entry.Filename), quote(knownhosts.Normalize(h.known.address)))
}

// fileOrNone names the file to which the user is to add a key.
func (k *knownHosts) fileOrNone() string {
	return cmp.Or(k.file, "a file that UserKnownHostsFile names")
}

// places says in which line of which file the first of the entries is.
func places(known []xknownhosts.KnownKey) string {
	if len(known) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", known[0].Filename, known[0].Line)
}

// quote makes a word safe to paste into a shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func isLoopback(host string, remote net.Addr) bool {
	if a, ok := remote.(*net.TCPAddr); ok {
		return a.IP.IsLoopback()
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
