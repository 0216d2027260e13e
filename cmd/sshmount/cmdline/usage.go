package cmdline

import (
	"fmt"
	"io"
	"strings"
)

const usageHead = `Mounts a directory of an SSH server.

  sshmount [user@]host:[dir] mountpoint [options]
  sshmount sftp://[user@]host[:port]/dir mountpoint [options]

Other commands ('sshmount COMMAND --help' tells more):
  status [MOUNTPOINT]      what is connected, what it waits for, what is not saved
  sync MOUNTPOINT          wait until everything is saved, and report errors
  kick MOUNTPOINT          try a lost line at once
  umount MOUNTPOINT        save everything and end the mount
  serve                    an SFTP server of its own, for trying things out
  version, completion      what their names say

Options may stand anywhere on the line:
  -o NAME[=VALUE],...      mount options, see below (a comma in a value is written \,)
  -p PORT                  port of the server
  -C                       compress
  -F FILE                  ssh configuration file
  -f                       stay in the foreground
  -d, --debug              log everything, in the foreground
  -r                       read only (the same as -o ro)
  -s                       one request at a time
  -v, --verbose            no effect: the log has what it showed
  -h, --help  -V, --version
`

// Usage writes the help: the table, by groups.
func Usage(w io.Writer) error {
	var b strings.Builder
	b.WriteString(usageHead)
	for _, group := range []heading{groupLine, groupCache, groupFiles, groupKernel, groupIgnored} {
		fmt.Fprintf(&b, "\n%s:\n", group)
		var silent []string
		for _, o := range table {
			switch {
			case o.Group != group:
			case o.Help == "" && group == groupIgnored:
				silent = append(silent, o.title())
			case o.Help != "":
				b.WriteString(o.line())
			}
		}
		b.WriteString(wrap(strings.Join(silent, ", "), "  ", "  "))
		if group == groupLine {
			b.WriteString(wrap("any option of ssh_config(5), in any case: -o Port=2222, -o IdentityFile=~/.ssh/work", "  SSHOPTION=VALUE          ", strings.Repeat(" ", 27)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (o option) title() string {
	switch {
	case o.Value == "":
		return o.Name
	case len(o.Choices) > 0:
		return o.Name + "=" + strings.Join(o.Choices, "|")
	default:
		return o.Name + "=" + o.Value
	}
}

func (o option) line() string {
	const column = 27
	first := fmt.Sprintf("  %-*s", column-2, o.title())
	indent := strings.Repeat(" ", column)
	if len(first) > column || first[len(first)-1] != ' ' {
		return first + "\n" + wrap(o.Help, indent, indent)
	}
	return wrap(o.Help, first, indent)
}

// wrap breaks text at blanks into lines of at most 100 columns.
func wrap(text, first, indent string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	line := first
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+1+len(word) > 100 {
			b.WriteString(line + "\n")
			line = indent + word
			continue
		}
		if i > 0 {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}
