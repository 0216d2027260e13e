package sshdial

import (
	"bytes"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// unsavedKey is the host key of a hop that was accepted, but can't be saved in a file (UserKnownHostsFile=none, a home that can't be
// written). It counts as known as long as the mount lasts: nobody is there to accept it again, and another key in its place must be
// noticed.
type unsavedKey struct {
	mu  sync.Mutex // guards key; a leaf
	key ssh.PublicKey
}

func (u *unsavedKey) get() ssh.PublicKey {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.key
}

func (u *unsavedKey) set(key ssh.PublicKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.key = key
}

// order puts the algorithms of that key first, so that the server shows it and not one of another type.
func (u *unsavedKey) order(algos []string) []string {
	key := u.get()
	if key == nil {
		return algos
	}
	var first, rest []string
	for _, a := range algos {
		if a == key.Type() || key.Type() == ssh.KeyAlgoRSA && strings.HasPrefix(a, "rsa-sha2-") && !isCertificate(a) {
			first = append(first, a)
		} else {
			rest = append(rest, a)
		}
	}
	return append(first, rest...)
}

// checkUnsaved is for a key of which no file says anything; known says whether one was accepted before.
func (h *hostKeyCheck) checkUnsaved(key ssh.PublicKey) (known bool, err error) {
	before := h.unsaved.get()
	switch {
	case before == nil:
		return false, nil
	case bytes.Equal(before.Marshal(), key.Marshal()):
		return true, nil
	}
	return true, permanent("THE HOST KEY OF %s HAS CHANGED: it shows %s, but when it was mounted it had %s, which is in no file. "+
		"Somebody may be between you and the server, or the server was set up anew. If you are sure of that, mount again",
		h.cfg.name(), keyName(key), keyName(before))
}
