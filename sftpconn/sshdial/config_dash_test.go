package sshdial

import (
	"errors"
	"os/exec"
	"testing"
)

// Programs get both as arguments, and would read an option in them.
func TestANameThatLooksLikeAnOptionIsAFaultOfTheConfiguration(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	for _, ssh := range []string{ssh, ""} {
		for what, test := range map[string]struct {
			file    string
			options []string
			given   bool
		}{
			"host in the file":     {file: "HostName -oProxyCommand=x"},
			"user in the file":     {file: "User -x"},
			"host by an option":    {options: []string{"HostName=-oProxyCommand=x"}, given: true},
			"host with a blank":    {options: []string{`HostName="a b"`}, given: true},
			"another key is given": {file: "HostName -x", options: []string{"User=me"}},
		} {
			src := configSource{ssh: ssh, file: config(t, test.file), options: test.options}
			_, err := src.resolve(ctxOf(t), target{host: "srv"})
			fault, ok := errors.AsType[*ConfigError](err)
			if !ok || !isPermanent(err) || fault.Given != test.given {
				t.Errorf("%s, with ssh %q: %v (%+v)", what, ssh, err, fault)
			}
		}
	}
}
