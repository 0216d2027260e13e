package cmdline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// table is every option that may stand after -o, ssh's own apart, in the order of the help.
var table = slices.Concat(lineOptions, cacheOptions, fileOptions, kernelOptions, ignoredOptions)

var byName = func() map[string]option {
	m := make(map[string]option, len(table))
	for _, o := range table {
		if _, twice := m[o.Name]; twice {
			panic("option " + o.Name + " stands twice in the table")
		}
		m[o.Name] = o
	}
	return m
}()

// apply checks a value against the option's choices and puts it into effect.
func (o option) apply(s *Settings, value string) error {
	if len(o.Choices) > 0 && !slices.Contains(o.Choices, value) && (value != "" || !o.Optional) {
		return fmt.Errorf("%q is none of %s", value, strings.Join(o.Choices, ", "))
	}
	return o.set(s, value)
}

// unknown is the error for a name that nobody knows, with the nearest that somebody does.
func unknown(name string) error {
	if strings.ContainsAny(name, " \t\n") {
		return faultf("unknown option %q; options are separated by commas, without blanks", name)
	}
	// A third of the letters may be wrong; of two that are equally near the first counts.
	best, distance := "", max(1, (len(name)+1)/3)+1
	consider := func(known string) {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(known)); d < distance {
			best, distance = known, d
		}
	}
	for _, o := range table {
		consider(o.Name)
	}
	for _, k := range sshKeywords {
		consider(k)
	}
	if best == "" {
		return faultf("unknown option %q; 'sshmount --help' shows the known ones, and those of ssh_config(5) are known too", name)
	}
	return faultf("unknown option %q; did you mean %q?", name, best)
}
