package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/control"
)

// The commands besides mounting are made with cobra; mounting has the command
// line of sshfs, which cobra's rules don't fit.

func rootCommand(out io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "sshmount",
		Short:         "Mounts a directory of an SSH server",
		SilenceErrors: true, // report says them
		SilenceUsage:  true,
	}
	root.SetOut(out)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; '%s --help' shows the known ones", err, c.CommandPath())
	})
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		if c != root {
			text := c.Short
			if c.Long != "" {
				text = strings.TrimSpace(c.Long) // of the completions: how a shell gets them, and what else that needs
			}
			fmt.Fprintf(c.OutOrStdout(), "%s\n\n%s", text, c.UsageString())
			return
		}
		cmdline.Usage(c.OutOrStdout())
	})
	root.AddCommand(statusCommand(), syncCommand(), umountCommand(), kickCommand(), serveCommand(), &cobra.Command{
		Use: "version", Short: "Prints the version", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) { printVersion(c.OutOrStdout()) },
	})
	root.InitDefaultCompletionCmd("status") // its arguments only say that there are commands
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		// Without this it prints help, with success, for a shell that it doesn't know: `source <(...)` runs what is printed.
		c.RunE = func(*cobra.Command, []string) error {
			return errors.New("for which shell? sshmount help completion names those there are")
		}
	}
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultHelpCmd()
	return root
}

// helpCommand is like cobra's own, except that an unknown command is an error.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Tells how a command is used",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return commandNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command %q; sshmount --help names those there are", strings.Join(args, " "))
			}
			return c.Help()
		},
	}
}

func commandNames() []string {
	var names []string
	for _, c := range rootCommand(io.Discard).Commands() {
		names = append(append(names, c.Name()), c.Aliases...)
	}
	return names
}

func runCommand(args []string) int {
	out := &output{w: os.Stdout}
	root := rootCommand(out)
	root.SetArgs(args)
	err := root.Execute()
	_, told := errors.AsType[*failure](err)
	switch {
	case told:
	case out.err != nil:
		err = failed(exitFailure, fmt.Errorf("cannot print all of it: %w", out.err))
	case err != nil:
		err = failed(exitUsage, err)
	}
	return report(err)
}

// output is where a command prints. It remembers the first write that fails, so that the command ends with an error: whoever reads a part
// of the output (where the disk of a redirection is full) must not take it for all.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// oneMountpoint checks that a command has exactly one argument.
func oneMountpoint(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("the mount point is missing: write sshmount %s", c.Use)
	}
	return atMostOneMountpoint(c, args)
}

// atMostOneMountpoint checks that a command has one argument or none. An empty one, as of a script's variable that is not set, must not mean
// the working directory.
func atMostOneMountpoint(c *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("%q is one mount point too many: write sshmount %s", args[1], c.Use)
	case len(args) == 1 && args[0] == "":
		return fmt.Errorf("the mount point is empty: write sshmount %s", c.Use)
	}
	return nil
}

// oneMount completes the argument of a command with the mount points of this user. What is typed may also be another name of one, which the
// records don't have (~/mnt, a relative one): then the shell completes the directory.
func oneMount(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var points []string
	for _, r := range control.Records() {
		if strings.HasPrefix(r.Mountpoint, typed) {
			points = append(points, r.Mountpoint)
		}
	}
	if len(points) == 0 && typed != "" {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return points, cobra.ShellCompDirectiveNoFileComp
}

// say writes a line for the user to standard error, so that a pipe from standard output gets nothing of it.
func say(format string, args ...any) {
	fmt.Fprintln(os.Stderr, "sshmount:", control.Plain(fmt.Sprintf(format, args...)))
}
