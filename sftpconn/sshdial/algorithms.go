package sshdial

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/cpu"
)

// algorithms are the lists to offer, best first; an empty one stands for the library's
// own. missing is the keyword and value of a configured list of which the native client
// knows no algorithm; "" for none.
type algorithms struct {
	kex, ciphers, macs, hostKeys []string
	missing                      string
}

// algorithms returns what the native client knows of each configured list. Where a
// list is ssh's default, and not somebody's wish, what is fast here goes first.
func (c *hostConfig) algorithms() algorithms {
	known, weak := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	var a algorithms
	pick := func(key string, known, weak []string) []string {
		asked := c.get(key)
		if asked == "" {
			return slices.Clone(known)
		}
		var list []string
		for name := range strings.SplitSeq(asked, ",") {
			// x/crypto adds this old name of curve25519-sha256 by itself.
			if name == "curve25519-sha256@libssh.org" {
				name = ssh.KeyExchangeCurve25519
			}
			if (slices.Contains(known, name) || slices.Contains(weak, name)) && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
		if len(list) == 0 && a.missing == "" {
			a.missing = key + " " + asked
		}
		return list
	}
	a.kex = pick("kexalgorithms", known.KeyExchanges, weak.KeyExchanges)
	a.ciphers = pick("ciphers", known.Ciphers, weak.Ciphers)
	a.macs = pick("macs", known.MACs, weak.MACs)
	a.hostKeys = pick("hostkeyalgorithms", known.HostKeys, weak.HostKeys)

	if c.isDefault("ciphers") && fastAES() {
		slices.SortStableFunc(a.ciphers, func(x, y string) int { return cipherRank(x) - cipherRank(y) })
	}
	// An older ssh has no ML-KEM yet; a server that has it keeps today's
	// traffic safe from tomorrow's computers.
	if c.isDefault("kexalgorithms") && !slices.Contains(a.kex, ssh.KeyExchangeMLKEM768X25519) {
		a.kex = slices.Insert(a.kex, 0, ssh.KeyExchangeMLKEM768X25519)
	}
	return a
}

// cipherRank puts AES-GCM first: with AES instructions it needs about a third
// of the time of the others, and encrypting is what limits a copy on a LAN.
func cipherRank(name string) int {
	switch name {
	case ssh.CipherAES128GCM:
		return 0
	case ssh.CipherAES256GCM:
		return 1
	}
	return 2
}

// fastAES reports that this processor has instructions for AES-GCM; without
// them ChaCha20, which is first in ssh's list, is the faster one.
func fastAES() bool {
	return cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAESGCM
}

// keyAlgorithms are the signature algorithms to use with a key of the given
// format, best first, out of those the configuration accepts; nil where it
// accepts none. The format of a certificate is that of the key in it.
func (c *hostConfig) keyAlgorithms(format string) []string {
	names := []string{format}
	if format == ssh.KeyAlgoRSA {
		names = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	accepted := c.get("pubkeyacceptedalgorithms")
	if accepted == "" {
		accepted = c.get("pubkeyacceptedkeytypes")
	}
	if accepted == "" {
		if format == ssh.KeyAlgoRSA {
			names = names[:2]
		}
		return names
	}
	list := strings.Split(accepted, ",")
	return slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(list, n) })
}

// bigEnough refuses an RSA key that is smaller than RequiredRSASize.
func (c *hostConfig) bigEnough(key ssh.PublicKey) error {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	if key.Type() != ssh.KeyAlgoRSA {
		return nil
	}
	// The library gives no more than the bytes of an agent's key.
	parsed, err := ssh.ParsePublicKey(key.Marshal())
	if err != nil {
		return plain(err)
	}
	bits := parsed.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey).N.BitLen()
	if least := c.number("requiredrsasize", 0); bits < least {
		return fmt.Errorf("it is an RSA key of %d bits, and RequiredRSASize is %d", bits, least)
	}
	return nil
}

// rekeyBytes is after how many bytes new keys are agreed upon (RekeyLimit); 0 for
// what suits the cipher.
func (c *hostConfig) rekeyBytes() uint64 {
	amount, _, _ := strings.Cut(c.get("rekeylimit"), " ")
	shift := 0
	if n := len(amount); n > 0 {
		if i := strings.IndexByte("KMG", amount[n-1]&^0x20); i >= 0 {
			amount, shift = amount[:n-1], 10*(i+1)
		}
	}
	v, err := strconv.ParseUint(amount, 10, 33)
	if err != nil {
		return 0
	}
	return v << shift
}
