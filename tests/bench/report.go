package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report writes everything that was measured into a folder, and returns the Markdown.
func (t *table) report(dir string, began time.Time, notes []string, profiling string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measured on %s\n\n", began.Format("2006-01-02 15:04"))
	fmt.Fprintf(&b, "%d CPUs, %s, Linux %s. Medians; every result was compared byte for byte. ",
		runtime.NumCPU(), runtime.Version(), kernel())
	b.WriteString("Figures in parentheses, or with >, are of measures that were given up for taking too long. ")
	b.WriteString("The last column is how many times faster sshmount was than sshfs. At 0 ms the peers talk to sshd directly; else over an emulated line.\n")
	for _, n := range notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	t.goals(&b)
	for _, p := range t.profiles {
		t.figures(&b, p)
		for _, c := range []struct {
			bulk bool
			name string
		}{{true, "bulk"}, {false, "time"}} {
			file := strings.NewReplacer(" ", "-", "/", "").Replace(p.name) + "-" + c.name + ".svg"
			if ok, err := t.chart(p, c.bulk, filepath.Join(dir, file)); err != nil {
				return "", err
			} else if ok {
				fmt.Fprintf(&b, "\n![%s, %s](%s)\n", p.name, c.name, file)
			}
		}
		t.costs(&b, p)
	}
	t.failures(&b)
	if profiling != "" {
		fmt.Fprintf(&b, "\n## Where sshmount's time and memory go\n\n%s", profiling)
	}
	raw, err := json.MarshalIndent(t.samples, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "samples.json"), raw, 0o644); err != nil {
		return "", err
	}
	return b.String(), os.WriteFile(filepath.Join(dir, "report.md"), []byte(b.String()), 0o644)
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

func (t *table) goals(b *strings.Builder) {
	var rows strings.Builder
	met, all := 0, 0
	for _, g := range goals() {
		if t.line(g.profile) == nil || t.work(g.work) == nil || t.cell(g.profile, g.work, g.peer).n == 0 &&
			t.cell(g.profile, g.work, g.peer).failed == "" {
			continue
		}
		got, ok := g.judge(t)
		all++
		mark := "**missed**"
		if ok {
			met++
			mark = "met"
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s | %s |\n", g.profile, g.work, g.peer, g.text, got, mark)
	}
	if all > 0 {
		fmt.Fprintf(b, "\n## Goals: %d of %d met\n\n| line | work | who | goal | measured | |\n|---|---|---|---|---|---|\n%s", met, all, rows.String())
	}
}

// shown are the peers and works of a line that there is something about.
func (t *table) shown(p *profile) (works []*work, peers []*peer) {
	some := func(w *work, pe *peer) bool {
		c := t.cell(p.name, w.name, pe.name)
		return c.n > 0 || c.failed != ""
	}
	for _, w := range t.works {
		if slices.ContainsFunc(t.peers, func(pe *peer) bool { return some(w, pe) }) {
			works = append(works, w)
		}
	}
	for _, pe := range t.peers {
		if slices.ContainsFunc(t.works, func(w *work) bool { return some(w, pe) }) {
			peers = append(peers, pe)
		}
	}
	return works, peers
}

func (t *table) figures(b *strings.Builder, p *profile) {
	works, peers := t.shown(p)
	if len(works) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| work | unit |", p.name, p.describe())
	for _, pe := range peers {
		fmt.Fprintf(b, " %s |", pe.name)
	}
	b.WriteString(" × sshfs |\n|---|---|" + strings.Repeat("---:|", len(peers)+1) + "\n")
	for _, w := range works {
		fmt.Fprintf(b, "| %s | %s |", w.name, w.unit())
		for _, pe := range peers {
			c := t.cell(p.name, w.name, pe.name)
			text := c.show()
			if c.n == 1 && !c.cut && c.failed == "" {
				text += " ¹"
			}
			fmt.Fprintf(b, " %s |", text)
		}
		ours, theirs := t.cell(p.name, w.name, nameMount), t.cell(p.name, w.name, nameSSHFS)
		if ours.usable() && theirs.usable() {
			mark := ""
			if theirs.cut && !w.bulk {
				mark = "> "
			}
			fmt.Fprintf(b, " %s%.2f |\n", mark, theirs.seconds()/ours.seconds())
		} else {
			b.WriteString(" |\n")
		}
		if w.extra != "" {
			fmt.Fprintf(b, "| … %s | %s |", w.extra, w.extraUnit)
			for _, pe := range peers {
				if c := t.cell(p.name, w.name, pe.name); c.n > 0 {
					fmt.Fprintf(b, " %.0f |", c.extra)
				} else {
					b.WriteString(" |")
				}
			}
			b.WriteString(" |\n")
		}
	}
	b.WriteString("\n¹ measured once\n")
}

func (t *table) costs(b *strings.Builder, p *profile) {
	works, peers := t.shown(p)
	var rows strings.Builder
	for _, w := range works {
		for _, pe := range peers {
			c := t.cell(p.name, w.name, pe.name)
			if !c.usable() || c.peak == 0 {
				continue
			}
			perGiB := ""
			if w.bulk && c.cpuPerGiB > 0 {
				perGiB = fmt.Sprintf("%.2f", c.cpuPerGiB)
			}
			fmt.Fprintf(&rows, "| %s | %s | %.2f | %s | %.0f | %.2f |\n", w.name, pe.name, c.cpu.Seconds(), perGiB, float64(c.peak)/mib, c.drain.Seconds())
		}
	}
	if rows.Len() > 0 {
		fmt.Fprintf(b, "\n<details><summary>CPU and memory at %s (all processes of each peer, ssh's too)</summary>\n\n"+
			"| work | who | CPU s | CPU s per GiB | peak MiB | unmounting s |\n|---|---|---:|---:|---:|---:|\n%s\n</details>\n", p.name, rows.String())
	}
}

func (t *table) failures(b *strings.Builder) {
	var rows []string
	for _, s := range t.samples {
		if s.Failed != "" {
			rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |\n", s.Profile, s.Work, s.Peer, strings.NewReplacer("|", "/", "\n", " ").Replace(s.Failed)))
		}
	}
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n## Failed\n\n| line | work | who | why |\n|---|---|---|---|\n%s", strings.Join(slices.Compact(rows), ""))
	}
}
