// Command sshmount mounts a directory of any SSH server, so that every program
// can use the remote files as if they were local.
//
// It is the outermost package. It has the command line (package cmdline), the
// checks of the mount point (mountpoint), the background process, the control
// socket (control) and the commands that use it. A mount is put together from
// the other packages: sshdial logs in, sftpconn keeps the connection, cache
// knows files and holds what is unsaved, fusefs talks to the kernel.
//
// A mount is made by two processes: the first starts the second, and stays at the
// terminal until that says that programs can use the mount, or why not
// (background.go). With -f there is only one.
//
// # Words
//
//   - wish: somebody's request to end the mount (wish.go). hurry: a signal came while it was ending, and nothing is waited
//     for any more.
//   - drain: to wait until everything is saved. What it leaves is failed, where it can't be saved, or late, where the time
//     was over (late.go).
//   - detached: of a mount, out of sight of programs, but for those that have files of it open (umount -l).
//   - dead: of a mount that is still in sight and not served.
//   - rescued: written to files of this machine, as it could not be saved.
//
// # The end of a mount
//
// One goroutine, in serveUntilEnded, ends the mount; nothing else does. Signals,
// and requests on the control socket, are wishes that it is sent (wish.go). It
// saves what is unsaved while programs still see the mount (drain), unmounts, waits
// for the kernel to let go (await), saves what was written meanwhile, and gives up
// the rest (finish). Only then are the cache and the connection closed, and the
// outcome is told to all who wait (recordEnd). A further signal at any time ends
// the waiting.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/control"
)

// version is that of CHANGELOG.md.
const version = "0.1.0"

func main() { os.Exit(run(os.Args)) }

func run(argv []string) int {
	if os.Getenv("PATH") == "" {
		// A service may have no PATH. sshfs finds ssh by execvp(3), which looks in about these directories then. Without ssh less of
		// the user's configuration would count.
		os.Setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
	}
	name, args := filepath.Base(argv[0]), argv[1:]
	if isCommand(name, args) {
		return runCommand(args)
	}
	byMount := calledByMount()
	code := runMount(name, args, byMount)
	if cmdline.IsHelper(name) || byMount {
		return forHelper(code) // mount(8) takes the status for its own
	}
	return code
}

// isCommand tells a command ('sshmount status') from a mount. The remote side
// of a mount has a colon, so the word in front can't be it; under another name
// than its own the program only mounts.
func isCommand(name string, args []string) bool {
	if name == "sshfs" || cmdline.IsHelper(name) || len(args) == 0 {
		return false
	}
	return slices.Contains(commandNames(), args[0]) || strings.HasPrefix(args[0], "__complete")
}

func runMount(name string, args []string, byMount bool) int {
	set, err := cmdline.Parse(name, args, byMount)
	if err != nil {
		return report(err)
	}
	switch {
	case set.Help:
		return report(cmdline.Usage(os.Stdout))
	case set.Version:
		return report(printVersion(os.Stdout))
	}
	if inBackground() {
		return serveBackground(set)
	}
	for _, w := range set.Warnings {
		fmt.Fprintln(os.Stderr, "sshmount: warning:", w)
	}
	if set.Fake {
		return exitOK
	}
	if err := prepare(set); err != nil {
		return report(err)
	}
	if set.Foreground {
		return serveForeground(set)
	}
	return report(startBackground(set, args, byMount))
}

// report prints an error, in which control characters become spaces but for the ends of lines, and gives the exit status for it.
func report(err error) int {
	code := exitCode(err)
	if err != nil && code != exitInterrupted {
		fmt.Fprintln(os.Stderr, "sshmount:", control.Visible(strings.TrimSpace(err.Error())))
	}
	return code
}

func printVersion(w io.Writer) error {
	_, err := fmt.Fprintf(w, "sshmount %s (takes the options of SSHFS version 3.7.6)\n", version)
	return err
}
