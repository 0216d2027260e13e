package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

func umountCommand() *cobra.Command {
	var wish control.UmountRequest
	c := &cobra.Command{
		Use: "umount MOUNTPOINT", Aliases: []string{"unmount"},
		Short: "Saves everything, shows how that gets on, and ends the mount",
		Args:  oneMountpoint, ValidArgsFunction: oneMount,
		RunE: func(_ *cobra.Command, args []string) error { return umount(args[0], wish) },
	}
	c.Flags().BoolVarP(&wish.Lazy, "lazy", "l", false, "detach it also while programs use it; it ends with the last open file")
	c.Flags().Var((*drainTime)(&wish.Timeout), "timeout", "how long to wait for unsaved data, or with a unit as in 2m (default the mount's drain_timeout, 120)")
	return c
}

// drainTime is the value of a flag. The help takes what stands behind the flag from its type: a word in
// backquotes in the description would do that too, but the shells' completions show the backquotes.
type drainTime time.Duration

func (d *drainTime) Set(v string) error {
	given, err := cmdline.ParseSeconds(v)
	*d = drainTime(max(given, 1)) // zero is the mount's own
	return err
}

func (*drainTime) String() string { return "" }
func (*drainTime) Type() string   { return "seconds" }

func syncCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sync MOUNTPOINT",
		Short: "Waits until everything is saved on the server, and reports what went wrong",
		Args:  oneMountpoint, ValidArgsFunction: oneMount,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := findServed(args[0])
			if err != nil {
				return err
			}
			ctx, stop := untilSignal()
			defer stop()
			p := newProgress()
			o, err := control.Connect(r).Sync(ctx, p.show)
			p.done()
			if err != nil && ctx.Err() != nil {
				say("not waiting any longer; the mount goes on saving, see: sshmount status %s", mountpoint.Word(r.Mountpoint))
				return errInterrupted
			}
			if err != nil {
				return failed(exitUnsaved, fmt.Errorf("%s: %w", r.Mountpoint, err))
			}
			return outcomeError(r.Mountpoint, o)
		},
	}
}

func kickCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "kick MOUNTPOINT",
		Short: "Tries a lost line at once, and looks whether the one that is there still lives",
		Args:  oneMountpoint, ValidArgsFunction: oneMount,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := findServed(args[0])
			if err != nil {
				return err
			}
			if err := control.Connect(r).Kick(c.Context()); err != nil {
				return failed(exitFailure, fmt.Errorf("%s: %w", r.Mountpoint, err))
			}
			if s := control.StatusOf(c.Context(), r); s.ForGood() {
				return failed(exitFailure, fmt.Errorf("%s: the line is lost and not tried again (%s); end the mount, and make it anew", r.Mountpoint, s.LastError))
			}
			return nil
		},
	}
}

// umount has a mount ended by its process. Where that is gone, it takes the dead mount away itself.
func umount(name string, wish control.UmountRequest) error {
	r, err := findMount(name)
	if err != nil {
		return umountUnknown(name, wish.Lazy, err)
	}
	ctx, stop := untilSignal()
	defer stop()
	p := newProgress()
	o, err := control.Connect(r).Umount(ctx, wish, p.show)
	p.done()
	switch {
	case err == nil:
		if !o.Busy && !o.Detached {
			awaitEnd(r, false)
		}
		return outcomeError(r.Mountpoint, o)
	case ctx.Err() != nil:
		say("the mount goes on saving and ends then; see: sshmount status %s", mountpoint.Word(r.Mountpoint))
		return errInterrupted
	}
	awaitEnd(r, errors.Is(err, control.ErrGone)) // the socket closes a moment before the process ends
	if r.Alive() {
		return failed(exitFailure, fmt.Errorf("%s: process %d does not answer: %w", r.Mountpoint, r.PID, err))
	}
	if !mountpoint.Dead(r.Mountpoint) { // another may be there
		control.Forget(r)
		log := "its log"
		if r.Log != "" {
			log = r.Log
		}
		return failed(exitNotMounted, fmt.Errorf("%s: the mount is gone, and process %d has ended before it could say how; whether all was saved is in %s", r.Mountpoint, r.PID, log))
	}
	// A mount whose process was killed is dead, and lazily is the only way that can't fail for being in use.
	if err := mountpoint.Detach(r.Mountpoint); err != nil {
		return failed(exitFailure, fmt.Errorf("process %d of %s is gone, and the dead mount can't be taken away: %w", r.PID, r.Mountpoint, err))
	}
	control.Forget(r)
	say("process %d of %s was gone; the dead mount is taken away", r.PID, r.Mountpoint)
	return nil
}

// umountUnknown ends a mount whose control socket was not found (unknown says so), as umount(8) would: what its process could not save
// nobody here is told.
func umountUnknown(name string, lazy bool, unknown error) error {
	if mountAround(name, mounts()) != "" { // which may hang, and is not to be touched
		return unknown
	}
	path, err := mountpoint.Resolve(name)
	if err != nil {
		return unknown
	}
	fstype, _, mounted := mountpoint.Mounted(path)
	if !mounted || fstype != "fuse.sshmount" && fstype != "fuse.sshfs" {
		return unknown
	}
	end := mountpoint.Unmount
	if lazy {
		end = mountpoint.Detach
	}
	err = end(path)
	if errors.Is(err, unix.EBUSY) {
		return failed(exitBusy, fmt.Errorf("%s is in use; end what uses it, or detach it with --lazy", path))
	}
	if other := otherOwner(path); err != nil && other != "" && os.Geteuid() != 0 {
		// The helper only says that it finds no entry of ours.
		err = fmt.Errorf("%s belongs to %s; only that user and root can end it (%w)", path, other, err)
	}
	if err == nil {
		say("%s is ended as umount(8) does it: its process does not answer to you and may still be saving, and what fails then is not told here", path)
	}
	return failed(exitFailure, err)
}

// endPatience is how long the process of a mount that is over may take to end.
const endPatience = 5 * time.Second

// awaitEnd waits a moment for the process of an ended mount to be gone, so that what a script does after umount does not meet it. Where
// there is a mount again it waits only with ending, which says that the process is known to be about to end.
func awaitEnd(r control.Record, ending bool) {
	for deadline := time.Now().Add(endPatience); r.Alive() && time.Now().Before(deadline); {
		if _, _, mounted := mountpoint.Mounted(r.Mountpoint); mounted && !ending {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// outcomeError tells the user where rescued bytes are, and returns the error with which the command ends.
func outcomeError(path string, o control.Outcome) error {
	for _, r := range o.Rescued {
		say("not saved on the server, but here: %s", r)
	}
	switch {
	case o.Busy:
		return failed(exitBusy, errors.New(o.Error))
	case o.Unsaved:
		// The text is empty where each error was told to a program that waited for it.
		return failed(exitUnsaved, fmt.Errorf("%s: %s", path, cmp.Or(o.Error, "not everything could be saved")))
	case o.Error != "":
		return failed(exitFailure, fmt.Errorf("%s: %s", path, o.Error))
	}
	return nil
}

// untilSignal makes a context that ends when the user wants the command to.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), heeded(unix.SIGINT, unix.SIGTERM)...)
}

// progress shows a user what is still to be saved: on a terminal one line
// that changes, elsewhere a line now and then.
type progress struct {
	terminal bool
	width    int
	next     time.Time
}

func newProgress() *progress {
	return &progress{terminal: term.IsTerminal(int(os.Stderr.Fd())), next: time.Now().Add(500 * time.Millisecond)}
}

func (p *progress) show(now control.Progress) {
	if time.Now().Before(p.next) || now.Idle() {
		return
	}
	line := now.String()
	if p.terminal {
		fmt.Fprintf(os.Stderr, "\r%-*s", p.width, line)
		p.width = len(line)
		return
	}
	say("%s", line)
	p.next = time.Now().Add(5 * time.Second)
}

func (p *progress) done() {
	if p.terminal && p.width > 0 {
		fmt.Fprintf(os.Stderr, "\r%*s\r", p.width, "")
	}
}
