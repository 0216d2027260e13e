package sshdial

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// revokedKey is a line of a known_hosts file that takes a key back for the hosts it names. The library, which never sees such lines,
// would take the key back for every host.
type revokedKey struct {
	hosts []string // patterns, or one hashed name
	known xknownhosts.KnownKey
}

// revokedOf gives the hosts and the key of a line that revokes one; ok says whether it is such a line.
func revokedOf(line []byte) (r revokedKey, ok bool) {
	marker, hosts, key, _, _, err := ssh.ParseKnownHosts(append(bytes.Clone(line), '\n'))
	if err != nil || marker != "revoked" {
		return revokedKey{}, false
	}
	return revokedKey{hosts: hosts, known: xknownhosts.KnownKey{Key: key}}, true
}

// revokedAt gives the entry that revokes a key, or a certificate's key or its authority, for the host of an address.
func (k *knownHosts) revokedAt(address string, key ssh.PublicKey) []xknownhosts.KnownKey {
	blobs := [][]byte{key.Marshal()}
	if cert, ok := key.(*ssh.Certificate); ok {
		blobs = [][]byte{cert.Key.Marshal(), cert.SignatureKey.Marshal()}
	}
	name := entryName(address)
	for _, r := range k.revoked {
		taken := r.known.Key.Marshal()
		for _, blob := range blobs {
			if bytes.Equal(blob, taken) && names(r.hosts, name) {
				return []xknownhosts.KnownKey{r.known}
			}
		}
	}
	return nil
}

// entryName is how an entry of a known_hosts file calls the host of an address.
func entryName(address string) string {
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return strings.ToLower(address)
	case port == "22":
		return strings.ToLower(host)
	default:
		return strings.ToLower("[" + host + "]:" + port)
	}
}

// names says whether an entry's hosts are a host, too. What one of them excludes, no other includes.
func names(hosts []string, host string) bool {
	found := false
	for _, pattern := range hosts {
		if strings.HasPrefix(pattern, "|1|") {
			return isHashOf(pattern, host)
		}
		pattern, excluded := strings.CutPrefix(strings.ToLower(pattern), "!")
		if pattern != "" && isLike(host, pattern) {
			if excluded {
				return false
			}
			found = true
		}
	}
	return found
}

// isHashOf says whether a hashed name, |1|salt|hash, is that of a host.
func isHashOf(hashed, host string) bool {
	salt, sum, _ := strings.Cut(strings.TrimPrefix(hashed, "|1|"), "|")
	key, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, key)
	mac.Write([]byte(host))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)) == sum
}

// isLike says whether a pattern of ssh fits a name: '*' stands for any characters, separators too, and '?' for one.
func isLike(name, pattern string) bool {
	star, from := -1, 0 // where the last '*' was, and what of the name comes after it at the earliest
	n, p := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			n++
			p++
		case star >= 0:
			from++
			n, p = from, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
