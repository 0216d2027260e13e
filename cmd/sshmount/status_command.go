package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

func statusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status [MOUNTPOINT]",
		Short: "Tells of one mount, or of all of yours: the line, what waits, what is not saved, errors",
		Args:  atMostOneMountpoint, ValidArgsFunction: oneMount,
		RunE: func(c *cobra.Command, args []string) error {
			var list []control.Status
			if len(args) == 1 {
				r, err := findMount(args[0])
				if err != nil {
					return err
				}
				list = append(list, control.StatusOf(c.Context(), r))
			} else {
				for _, r := range mounts() {
					list = append(list, control.StatusOf(c.Context(), r))
				}
			}
			out := c.OutOrStdout()
			if asJSON {
				return failed(exitFailure, writeJSON(out, list, len(args) == 1))
			}
			if len(list) == 0 {
				fmt.Fprintln(out, "no mounts")
			}
			for i, s := range list {
				if i > 0 {
					fmt.Fprintln(out)
				}
				if err := s.Write(out, time.Now()); err != nil {
					return failed(exitFailure, err)
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON: an object for one mount, a list for all")
	return c
}

func writeJSON(w io.Writer, list []control.Status, one bool) error {
	if list == nil {
		list = []control.Status{}
	}
	var what any = list
	if one {
		what = list[0]
	}
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetIndent("", "  ")
	if err := out.Encode(what); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeControls(text.String()))
	return err
}

// escapeControls writes as \u00xx those control characters that the encoder leaves as they are, and that do something to a terminal: U+007F
// to U+009F. They stand in strings only.
func escapeControls(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= 0x7f && r < 0xa0 {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// mounts returns the records of this user's mounts; of one mount point the newest first. A mount point may have several: each process puts
// its record where its variables say, and a mount that is detached or still saving goes on beside a new one. It removes the record of a
// process that is gone, if its mount is gone, too, or another one is in its place (which may have no record that is found here).
func mounts() []control.Record {
	var list []control.Record
	newer := map[string]bool{} // mount points of which a newer record was seen
	for _, r := range control.Records() {
		if r.Alive() || !newer[r.Mountpoint] && mountpoint.Dead(r.Mountpoint) {
			list = append(list, r)
		} else {
			control.Forget(r)
		}
		newer[r.Mountpoint] = true
	}
	return list
}

// findMount returns the record of a mount point by its name: the newest, where an older mount goes on detached or saving.
func findMount(name string) (control.Record, error) {
	known := mounts()
	if around := mountAround(name, known); around != "" {
		return control.Record{}, failed(exitNotMounted, fmt.Errorf("%s lies in the mount at %s; write that", name, around))
	}
	path, err := mountpoint.Resolve(name)
	if errors.Is(err, fs.ErrNotExist) {
		return control.Record{}, notMounted(name)
	}
	if err != nil {
		return control.Record{}, failed(exitMountPoint, err)
	}
	for _, r := range known {
		if r.Mountpoint == path {
			return r, nil
		}
	}
	if fstype, source, mounted := mountpoint.Mounted(path); mounted {
		why := "it is another program's"
		if other := otherOwner(path); other != "" {
			why = "it belongs to " + other
		} else if fstype == "fuse.sshmount" {
			why = "there is no control socket of it where yours are looked for (XDG_RUNTIME_DIR, TMPDIR); its log tells more, and 'sshmount umount' ends it"
		}
		return control.Record{}, failed(exitNotMounted, fmt.Errorf("%s is a mount of %s (%s) that does not answer to you: %s", path, source, fstype, why))
	}
	return control.Record{}, notMounted(path)
}

// mountAround is the mount point of the mount in which a name lies that is no mount point itself; "" where there is none. It touches
// neither: that mount may be what hangs.
func mountAround(name string, known []control.Record) string {
	abs, err := mountpoint.Absolute(name)
	if err != nil {
		return ""
	}
	if _, _, mounted := mountpoint.Mounted(abs); mounted {
		return ""
	}
	for _, r := range known {
		if _, _, mounted := mountpoint.Mounted(r.Mountpoint); mounted && mountpoint.Within(abs, r.Mountpoint) {
			return r.Mountpoint
		}
	}
	return ""
}

// otherOwner names the user who has made the mount at path; "" where that is the present user, or is not known.
func otherOwner(path string) string {
	uid, ok := mountpoint.Owner(path)
	if !ok || uid == os.Geteuid() {
		return ""
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return fmt.Sprintf("user %s (uid %d)", u.Username, uid)
	}
	return fmt.Sprintf("uid %d", uid)
}

func notMounted(name string) error {
	return failed(exitNotMounted, fmt.Errorf("%s is no mount of sshmount; 'sshmount status' lists yours", name))
}

// findServed is findMount for what only the process of a mount can do: it fails where that is gone.
func findServed(name string) (control.Record, error) {
	r, err := findMount(name)
	if err == nil && !r.Alive() {
		err = failed(exitNotMounted, fmt.Errorf("process %d of %s is gone, and the mount is dead; this takes it away: sshmount umount %s", r.PID, r.Mountpoint, mountpoint.Word(r.Mountpoint)))
	}
	return r, err
}
