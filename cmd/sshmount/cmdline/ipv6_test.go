package cmdline

import (
	"strings"
	"testing"
)

func TestAnIPv6AddressWithoutBracketsIsNotTakenForAnotherHost(t *testing.T) {
	for operand, right := range map[string]string{
		"fd00::1:/srv":           "[fd00::1]:/srv",
		"2001:db8::7:":           "[2001:db8::7]:",
		"me@::1:dir":             "[::1]:dir",
		"me@fe80::1%eth0:/a:b@c": "[fe80::1%eth0]:/a:b@c",
		"2001:db8::7":            "[2001:db8::7]:",
		"me@::1":                 "[::1]:",
		"fe80::1%eth0":           "[fe80::1%eth0]:",
		"2001:db8::7:/disk[1]":   "[2001:db8::7]:/disk[1]",
		"me@::1:[old]/dir":       "[::1]:[old]/dir",
		"fe80::1%eth0:a/disk[1]": "[fe80::1%eth0]:a/disk[1]",
	} {
		if _, err := parseTarget(operand); err == nil || !strings.HasSuffix(err.Error(), " "+right) {
			t.Errorf("%s: %v; want a word of %s", operand, err, right)
		}
	}
	for _, operand := range []string{"fd00:/srv::1:", "host::1:/x", "me@host:a@b:c", "2001:db8"} {
		if got, err := parseTarget(operand); err != nil || got.dir == "" {
			t.Errorf("%s: %+v, %v", operand, got, err)
		}
	}
	for operand, host := range map[string]string{
		"host:/disk[1]": "host", "host:/a:b:c": "host", "host:a::b": "host", "[::1]:": "::1", "me@[fe80::1%eth0]:": "fe80::1%eth0",
		"[::1]:/x[1]::2": "::1", "[abba]::1": "abba",
	} {
		if got, err := parseTarget(operand); err != nil || got.host != host {
			t.Errorf("%s: %+v, %v", operand, got, err)
		}
	}
}
