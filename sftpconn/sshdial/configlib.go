package sshdial

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// libraryKeys are the keys that are looked up where no ssh is installed, with
// what counts where no file says anything ("" for nothing).
var libraryKeys = map[string]string{
	"hostname": "", "port": "22", "user": "", "identityfile": "", "identitiesonly": "no",
	"identityagent": "", "certificatefile": "", "proxyjump": "", "proxycommand": "",
	"userknownhostsfile": "", "globalknownhostsfile": "", "stricthostkeychecking": "ask",
	"hostkeyalias": "", "hostkeyalgorithms": "", "ciphers": "", "macs": "", "kexalgorithms": "",
	"pubkeyacceptedalgorithms": "", "serveraliveinterval": "0", "serveralivecountmax": "3",
	"connecttimeout": "", "addressfamily": "any", "bindaddress": "", "bindinterface": "",
	"preferredauthentications": "", "pubkeyauthentication": "yes", "passwordauthentication": "yes",
	"kbdinteractiveauthentication": "yes", "numberofpasswordprompts": "3", "batchmode": "no",
	"tcpkeepalive": "yes", "hashknownhosts": "no", "nohostauthenticationforlocalhost": "no",
	"controlpath": "", "compression": "no", "knownhostscommand": "", "pkcs11provider": "", "revokedhostkeys": "", "rekeylimit": "",
	"proxyusefdpass": "no", "connectionattempts": "1", "addkeystoagent": "no", "verifyhostkeydns": "no",
	"permitlocalcommand": "no", "localcommand": "", "requiredrsasize": "", "casignaturealgorithms": "",
}

// resolveByLibrary reads the configuration files where no ssh is installed to be
// asked. Of what counts once the first value counts: that of the address or of an option, of the user's file, of the system's.
func (s configSource) resolveByLibrary(_ context.Context, t target) (*hostConfig, error) {
	c := &hostConfig{alias: t.host, values: map[string][]string{}}
	if err := s.takeGiven(c, t); err != nil {
		return nil, err
	}
	given := maps.Clone(c.values)
	files := []string{filepath.Join(homeDir(), ".ssh", "config"), "/etc/ssh/ssh_config"}
	if s.file != "" {
		files = []string{s.file}
	}
	for _, name := range files {
		if err := s.takeFile(c, name); err != nil {
			return nil, err
		}
	}
	for key, value := range libraryKeys {
		if value != "" && len(c.values[key]) == 0 {
			c.values[key] = []string{value}
		}
	}
	if err := c.checkNumbers(given); err != nil {
		return nil, err
	}
	if c.get("user") == "" {
		c.values["user"] = []string{localUser()}
	}
	host := strings.NewReplacer("%h", t.host, "%%", "%").Replace(c.get("hostname"))
	c.values["hostname"] = []string{cmp.Or(host, t.host)}
	for _, key := range []string{"ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms", "casignaturealgorithms"} {
		// A list that changes the built-in one needs the built-in one of ssh.
		if v := c.get(key); v != "" && strings.ContainsAny(v[:1], "+-^") {
			delete(c.values, key)
		}
	}
	return c, nil
}

// takeGiven takes what the options say, and the address, which counts before them.
func (s configSource) takeGiven(c *hostConfig, t target) error {
	for _, o := range s.options {
		key, value, err := splitOption(o)
		if err != nil {
			return err
		}
		if len(c.values[key]) == 0 || multiple(key) {
			c.values[key] = append(c.values[key], value)
		}
	}
	if t.user != "" {
		c.values["user"] = []string{t.user}
	}
	if t.port != "" {
		c.values["port"] = []string{t.port}
	}
	return nil
}

// takeFile takes what a file says and nothing said before. Only a file that was asked for has to be there.
func (s configSource) takeFile(c *hostConfig, name string) error {
	if name == "none" {
		return nil
	}
	f, err := os.Open(name)
	if os.IsNotExist(err) && s.file == "" {
		return nil
	}
	if err != nil {
		return badConfig(s.file != "", "ssh's configuration cannot be read: %w", err)
	}
	defer f.Close()
	cfg, err := ssh_config.Decode(f)
	if err != nil {
		return badConfig(false, "ssh's configuration %s cannot be read without ssh: %w", name, err)
	}
	for key := range libraryKeys {
		values, err := cfg.GetAll(c.alias, key)
		if err != nil {
			return badConfig(false, "ssh's configuration %s: %s: %w", name, key, err)
		}
		switch {
		case multiple(key):
			c.values[key] = append(c.values[key], values...)
		case len(values) > 0 && len(c.values[key]) == 0:
			c.values[key] = values[:1]
		}
	}
	return nil
}

// checkNumbers refuses what ssh would: a misprint must not come to the default in silence. given are the values that no file has.
func (c *hostConfig) checkNumbers(given map[string][]string) error {
	for _, key := range []string{"serveraliveinterval", "connecttimeout"} {
		if v := c.getUnlessNone(key); v != "" {
			if _, ok := parseTime(v); !ok {
				return badConfig(len(given[key]) > 0, "ssh's configuration for %s cannot be used: %s %q is no time", c.alias, key, v)
			}
		}
	}
	for _, key := range []string{"serveralivecountmax", "connectionattempts", "numberofpasswordprompts"} {
		if n, err := strconv.ParseInt(c.get(key), 10, 32); err != nil || n < 0 {
			return badConfig(len(given[key]) > 0, "ssh's configuration for %s cannot be used: %s %q is no number from 0", c.alias, key, c.get(key))
		}
	}
	return nil
}

// multiple reports that a key may be given several times, and all of them count.
func multiple(key string) bool {
	return slices.Contains([]string{"identityfile", "certificatefile"}, key)
}

// splitOption reads "Key=Value", "Key = Value" or "Key Value", as -o takes them.
func splitOption(o string) (key, value string, err error) {
	i := strings.IndexAny(o, "= \t")
	if i <= 0 {
		return "", "", badConfig(true, "ssh option %q is not Key=Value", o)
	}
	key = strings.ToLower(o[:i])
	value = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(o[i:]), "="))
	if value == "" {
		return "", "", badConfig(true, "ssh option %q has no value", o)
	}
	return key, unquote(value), nil
}
