package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/control"
)

// The commands besides mounting are made with cobra; mounting has the command
// line of sshfs, which cobra's rules don't fit.

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "sshmount",
		Short:         "Mounts a directory of an SSH server",
		SilenceErrors: true, // report says them
		SilenceUsage:  true,
	}
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		if c != root {
			fmt.Fprintf(c.OutOrStdout(), "%s\n\n%s", c.Short, c.UsageString())
			return
		}
		cmdline.Usage(c.OutOrStdout())
	})
	root.AddCommand(statusCommand(), syncCommand(), umountCommand(), kickCommand(), serveCommand(), &cobra.Command{
		Use: "version", Short: "Prints the version", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { printVersion() },
	})
	root.InitDefaultCompletionCmd("status") // its arguments only say that there are commands
	root.InitDefaultHelpCmd()
	return root
}

func commandNames() []string {
	var names []string
	for _, c := range rootCommand().Commands() {
		names = append(append(names, c.Name()), c.Aliases...)
	}
	return names
}

func runCommand(args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	err := root.Execute()
	var f *failure
	if err != nil && !errors.As(err, &f) {
		err = failed(exitUsage, err)
	}
	return report(err)
}

// oneMountpoint wants the one argument that a command takes.
func oneMountpoint(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("the mount point is missing: write sshmount %s", c.Use)
	}
	return atMostOneMountpoint(c, args)
}

func atMostOneMountpoint(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%q is one mount point too many: write sshmount %s", args[1], c.Use)
	}
	return nil
}

// oneMount completes the argument of a command with the mount points there are.
func oneMount(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var points []string
	for _, r := range control.Records() {
		points = append(points, r.Mountpoint)
	}
	return points, cobra.ShellCompDirectiveNoFileComp
}

// say writes a line for the user to standard error, so that a pipe from standard output gets nothing of it.
func say(format string, args ...any) {
	fmt.Fprintln(os.Stderr, "sshmount:", control.Plain(fmt.Sprintf(format, args...)))
}
