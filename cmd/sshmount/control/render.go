package control

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sshmount/cmd/sshmount/mountpoint"
)

// shownFiles is how many unsaved files are named one by one.
const shownFiles = 10

// Write tells a status in words, as of now.
func (s Status) Write(w io.Writer, now time.Time) error {
	point := mountpoint.Word(s.Mountpoint) // for a command
	s = s.plain()
	var b strings.Builder
	fmt.Fprintf(&b, "%s  from %s", s.Mountpoint, s.Source)
	if s.Async {
		b.WriteString(", with async")
	}
	b.WriteString("\n")
	if s.Detached {
		b.WriteString("  DETACHED: it was unmounted while in use, and ends when no program has a file of it open any more\n")
	}
	if s.Ending {
		b.WriteString("  ENDING: it is unmounted, and the process ends when everything is saved, or the time for that is over\n")
	}
	s.writeState(&b, now, point)
	if s.State != Dead && s.State != Silent {
		s.writeLine(&b)
		s.writeUnsaved(&b, now)
		fmt.Fprintf(&b, "  cache: %s, %s, %s of content; %d of %d files fetched ahead were used\n",
			count(s.Cache.Names, "name"), count(s.Cache.OpenFiles, "open file"), sizeOf(s.Cache.CleanBytes), s.Cache.PrefetchHits, s.Cache.PrefetchHits+s.Cache.PrefetchMiss)
	}
	writeList(&b, "errors since the last `sshmount sync`", s.Errors)
	writeList(&b, "rescued: what could not be delivered is kept in", s.Rescued)
	fmt.Fprintf(&b, "  process %d, since %s", s.PID, s.Started.Local().Format(time.DateTime))
	if s.Log != "" {
		fmt.Fprintf(&b, ", log %s", s.Log)
	}
	if s.Socket != "" {
		fmt.Fprintf(&b, ", socket %s", s.Socket)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (s Status) writeState(b *strings.Builder, now time.Time, point string) {
	since := fmt.Sprintf("since %s (%s)", s.Since.Local().Format(time.DateTime), ago(now.Sub(s.Since)))
	switch s.State {
	case Dead:
		fmt.Fprintf(b, "  DEAD: %s, and the mount is left; this takes it away: sshmount umount %s\n", s.LastError, point)
		return
	case Silent:
		fmt.Fprintf(b, "  SILENT: process %d does not answer: %s\n", s.PID, s.LastError)
		return
	case Connected:
		fmt.Fprintf(b, "  connected %s", since)
		if s.Reconnects > 0 {
			fmt.Fprintf(b, ", after %s", count(s.Reconnects, "reconnect"))
			if s.LastError != "" {
				fmt.Fprintf(b, " (the last because: %s)", s.LastError)
			}
		}
	default:
		fmt.Fprintf(b, "  NOT CONNECTED %s", since)
		if s.LastError != "" {
			fmt.Fprintf(b, ": %s", s.LastError)
		}
		switch {
		case s.ForGood():
			b.WriteString("; not trying again, programs get errors")
		case s.NextTry.After(now):
			fmt.Fprintf(b, "; next try in %s", ago(s.NextTry.Sub(now)))
		default:
			b.WriteString("; trying now")
		}
		if s.State == Unreachable && !s.NextTry.IsZero() {
			b.WriteString("; programs get errors until it is back")
		}
	}
	b.WriteString("\n")
	if s.Login.Client == "" {
		return
	}
	fmt.Fprintf(b, "  login: %s", cmp.Or(s.Login.User, "(no user)"))
	for _, part := range []struct{ before, what string }{
		{" by ", s.Login.Method}, {" at ", s.Login.Remote}, {", client ", s.Login.Client}, {", cipher ", s.Login.Cipher}, {", host key ", s.Login.HostKey},
	} {
		if part.what != "" {
			b.WriteString(part.before + part.what)
		}
	}
	b.WriteString("\n")
}

func (s Status) writeLine(b *strings.Builder) {
	l := s.Line
	rtt := "unknown" // no connection, or no answer yet
	if l.RTT > 0 {
		rtt = seconds(l.RTT)
	}
	fmt.Fprintf(b, "  line: RTT %s, reading %s/s, writing %s/s, %s and %s; in all %s read, %s written, %d requests\n",
		rtt, sizeOf(int64(l.ReadRate)), sizeOf(int64(l.WriteRate)), count(l.Connections, "connection"), count(l.Channels, "channel"),
		sizeOf(int64(l.BytesRead)), sizeOf(int64(l.BytesWritten)), l.Requests)
	if l.Waiting > 0 {
		fmt.Fprintf(b, "  waiting: %s for the connection\n", count(l.Waiting, "request"))
	}
	if l.InFlight > 0 {
		fmt.Fprintf(b, "  in flight: %s, the oldest for %s\n", count(l.InFlight, "request"), seconds(l.Oldest))
	}
}

func (s Status) writeUnsaved(b *strings.Builder, now time.Time) {
	u := s.Unsaved
	if u.None() {
		b.WriteString("  everything is saved\n")
		return
	}
	fmt.Fprintf(b, "  NOT SAVED YET: %s", ToGo(u.Count, u.Bytes, u.Operations))
	if !u.Oldest.IsZero() {
		fmt.Fprintf(b, ", the oldest for %s", ago(now.Sub(u.Oldest)))
	}
	b.WriteString("\n")
	for i, f := range u.Files {
		if i == shownFiles {
			fmt.Fprintf(b, "    and %d more\n", u.Count-shownFiles)
			break
		}
		fmt.Fprintf(b, "    %s\n", shown(f))
	}
}

// shown is a name as it is, or quoted where it would do something to a terminal. A file that was removed has none.
func shown(name string) string {
	if name == "" {
		return "(removed, and still open)"
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}

func writeList(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s:\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "    %s\n", l)
	}
}

// ToGo says how much is unsaved.
func ToGo(files int, bytes int64, operations int) string {
	var parts []string
	if files > 0 || bytes > 0 {
		parts = append(parts, count(files, "file"), sizeOf(bytes))
	}
	if operations > 0 {
		parts = append(parts, count(operations, "operation"))
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// Idle says that nobody waits for anything to be saved, nor for the line.
func (p Progress) Idle() bool {
	return p.nothing() && (p.State == Connected || p.State == "")
}

// nothing says that nothing is left to be saved.
func (p Progress) nothing() bool { return p.Files == 0 && p.Bytes == 0 && p.Operations == 0 }

// String is a line for somebody who waits.
func (p Progress) String() string {
	text := ToGo(p.Files, p.Bytes, p.Operations) + " to go"
	if p.State != Connected && p.State != "" {
		text += ", " + p.State
		if p.LastError != "" {
			text += ": " + p.LastError
		}
	}
	return Plain(text)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sizeOf writes a size with a unit of 1024.
func sizeOf(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		v /= 1024
		if v < 1000 || unit == "TiB" {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
	}
	return ""
}

// ago writes a duration as coarsely as one speaks of it.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.3g ms", s*1000)
	}
	return fmt.Sprintf("%.1f s", s)
}
