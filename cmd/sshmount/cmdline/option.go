package cmdline

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// heading is a group of options in the help.
type heading string

const (
	groupLine    heading = "Connection"              // of the login and the line to the server
	groupCache   heading = "Cache and durability"    // what is kept here, for how long, and when it is saved
	groupFiles   heading = "Files, links and owners" // how the server's files are shown
	groupKernel  heading = "Mount"                   // of FUSE and of mount(8)
	groupIgnored heading = "Accepted with no effect" // for old command lines
)

// option is one row of the table: something that may stand after -o.
type option struct {
	Name     string
	Value    string   // how the help calls the value; "" where there is none
	Optional bool     // the value may be left out
	Choices  []string // where the value is one of a few words
	Help     string   // one line; "" keeps the row out of the help
	Group    heading
	Mounts   bool // it is a word of /etc/fstab that is also a keyword of ssh: with a value it means this row in a call by mount(8), and ssh's option else

	set func(s *Settings, value string) error
}

// Each of the functions below makes the effect of an option (option.set) from the field that it sets.

func flag(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, _ string) error { *field(s) = true; return nil }
}

func unflag(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, _ string) error { *field(s) = false; return nil }
}

// boolean takes yes or no, and no value at all for yes.
func boolean(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		b, err := parseBool(v)
		*field(s) = b
		return err
	}
}

// notBoolean is boolean for a field that means the opposite.
func notBoolean(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		b, err := parseBool(v)
		*field(s) = !b
		return err
	}
}

func text(field func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if v == "" {
			return errors.New("the value is empty")
		}
		*field(s) = v
		return nil
	}
}

// file is text that names a file: the background process has another working
// directory, so a relative name is completed now.
func file(field func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if v == "" {
			return errors.New("the name of the file is empty")
		}
		abs, err := absolute(v)
		if err != nil {
			return err
		}
		*field(s) = abs
		return nil
	}
}

func number(least, most int, field func(*Settings) *int) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			if most == math.MaxInt32 {
				return fmt.Errorf("%q is not a number from %d", v, least)
			}
			return fmt.Errorf("%q is not a number from %d to %d", v, least, most)
		}
		*field(s) = n
		return nil
	}
}

func octal(field func(*Settings) **uint32) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, err := strconv.ParseUint(v, 8, 32)
		if err != nil || n > 0o7777 {
			return fmt.Errorf("%q is not an octal number up to 7777", v)
		}
		*field(s) = new(uint32(n))
		return nil
	}
}

func id(field func(*Settings) **uint32) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, err := strconv.ParseUint(v, 10, 32)
		if v == "-1" { // nobody's id, as libfuse reads it
			n, err = math.MaxUint32, nil
		}
		if err != nil {
			return fmt.Errorf("%q is not a numeric id", v)
		}
		*field(s) = new(uint32(n))
		return nil
	}
}

func secondsOrUnset(fields ...func(*Settings) **time.Duration) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		d, err := ParseSeconds(v)
		for _, field := range fields {
			*field(s) = &d
		}
		return err
	}
}

func bytesOf(field func(*Settings) *int64) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, err := parseBytes(v)
		*field(s) = n
		return err
	}
}

// numberIgnored checks a number and does nothing with it: a typing error is reported
// also where the option has no effect.
func numberIgnored(s *Settings, v string) error {
	var n int
	return number(0, math.MaxInt32, func(*Settings) *int { return &n })(s, v)
}

func secondsIgnored(_ *Settings, v string) error {
	_, err := ParseSeconds(v)
	return err
}

func ignored(*Settings, string) error { return nil }

func refused(why string) func(*Settings, string) error {
	return func(*Settings, string) error { return errors.New(why) }
}

// kernelOption hands an option to the kernel as it is.
func kernelOption(name string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if v != "" {
			v = "=" + v
		}
		s.Mount.MountOptions = append(s.Mount.MountOptions, name+v)
		return nil
	}
}

func parseBool(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "", "yes", "true", "on", "1":
		return true, nil
	case "no", "false", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", v)
}

// ParseSeconds reads seconds, with a fraction where wanted, or a duration such as 2m.
func ParseSeconds(v string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(v, 64); err == nil {
		if f < 0 || math.IsNaN(f) || f > math.MaxInt32 {
			return 0, fmt.Errorf("%q is not a number of seconds from 0 to %d", v, math.MaxInt32)
		}
		return time.Duration(f * float64(time.Second)), nil
	}
	if d, err := time.ParseDuration(v); err == nil && d >= 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%q is not a number of seconds", v)
}

// parseBytes reads a number of bytes with an optional k, m or g for powers of 1024.
func parseBytes(v string) (int64, error) {
	digits, unit := strings.ToLower(v), int64(1)
	digits = strings.TrimSuffix(strings.TrimSuffix(digits, "b"), "i")
	for suffix, size := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if d, ok := strings.CutSuffix(digits, suffix); ok {
			digits, unit = d, size
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a number of bytes such as 1048576 or 64M", v)
	}
	return n * unit, nil
}

// absolute completes a file's name, "~/" included: no shell expands that behind an equals sign.
func absolute(name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%q: %w", name, err)
		}
		return filepath.Join(home, rest), nil
	}
	return filepath.Abs(name)
}
