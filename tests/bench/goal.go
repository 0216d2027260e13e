package main

import "fmt"

// goal is a figure to reach, for one work over one line.
type goal struct {
	profile, work, peer string
	text                string
	// met gives the measured figure as text and whether it will do.
	met func(t *table) (got string, ok bool)
}

// judge gives the measured figure as text, and whether the goal is met. A work that was given up for taking too long meets none: what it had
// moved by then is a bound on the wrong side for a time.
func (g goal) judge(t *table) (got string, ok bool) {
	if c := t.cell(g.profile, g.work, g.peer); c.failed == "" && c.cut {
		return "given up", false
	}
	return g.met(t)
}

// goalList gathers goals. Works and lines are those of the full form, by their names.
type goalList []goal

// atLeast asks for a speed in multiples of another peer's.
func (g *goalList) atLeast(profile, work, peer string, times float64) {
	*g = append(*g, goal{profile, work, nameMount, fmt.Sprintf("≥ %g × %s", times, peer), func(t *table) (string, bool) {
		a, b := t.cell(profile, work, nameMount), t.cell(profile, work, peer)
		if !a.usable() || !b.usable() {
			return "not measured", false
		}
		x := b.seconds() / a.seconds()
		mark := ""
		if b.cut {
			mark = "at least "
		}
		return fmt.Sprintf("%s%.2f ×", mark, x), x >= times
	}})
}

func (g *goalList) share(profile, work string, part float64) {
	*g = append(*g, goal{profile, work, nameMount, fmt.Sprintf("≥ %.0f %% of the line", part*100), func(t *table) (string, bool) {
		c := t.cell(profile, work, nameMount)
		if !c.usable() {
			return "not measured", false
		}
		x := c.value / float64(t.line(profile).rate)
		return fmt.Sprintf("%.0f %%", x*100), x >= part
	}})
}

func (g *goalList) atMost(profile, work, peer string, seconds float64) {
	*g = append(*g, goal{profile, work, peer, fmt.Sprintf("≤ %g s", seconds), func(t *table) (string, bool) {
		c := t.cell(profile, work, peer)
		if !c.usable() {
			return "not measured", false
		}
		return fmt.Sprintf("%.2f s", c.value), c.value <= seconds
	}})
}

func (g *goalList) rtts(profile, work string, most float64) {
	*g = append(*g, goal{profile, work, nameMount, fmt.Sprintf("≤ %g RTT each", most), func(t *table) (string, bool) {
		c := t.cell(profile, work, nameMount)
		if !c.usable() {
			return "not measured", false
		}
		x := c.value / t.line(profile).rtt.Seconds()
		return fmt.Sprintf("%.3f RTT", x), x <= most
	}})
}

func goals() []goal {
	var g goalList
	const (
		read, write, small = "sequential read", "sequential write with fsync", "writes of 4 KiB, fsync at the end"
		reread, four, rnd  = "re-read of an unchanged file", "four parallel reads", "200 random reads of 4 KiB"
	)
	g.atLeast("0 ms", read, nameSSHFS, 2)
	g.atLeast("0 ms", read, nameSSH, 1.2)
	g.atLeast("0 ms", write, nameSSHFS, 1.8)
	g.atLeast("0 ms", four, nameSSHFS, 1.8)
	g.atLeast("0 ms", small, nameSSHFS, 2)
	for _, p := range []string{"0 ms", "50 ms", "150 ms"} {
		g.atLeast(p, reread, nameSSHFS, 5)
	}
	g.atLeast("0 ms", rnd, nameSSHFS, 1)
	for _, w := range []string{read, write, four} {
		g.share("50 ms", w, 0.85)
		g.share("150 ms", w, 0.65)
	}
	g.share("50 ms", small, 0.8)
	g.rtts("50 ms", rnd, 1.05)
	g.rtts("150 ms", rnd, 1.05)
	g = append(g, cpuGoal(read), memoryGoal())

	const asking = "read of 16 MiB while asking"
	g.share("50 ms 20 Mbit/s", asking, 0.9)
	g = append(g, goal{"50 ms 20 Mbit/s", asking, nameMount, "answers < 150 ms", func(t *table) (string, bool) {
		c := t.cell("50 ms 20 Mbit/s", asking, nameMount)
		if !c.usable() {
			return "not measured", false
		}
		return fmt.Sprintf("%.0f ms", c.extra), c.extra < 150
	}})

	for _, w := range treeWorks() {
		g.atLeast("0 ms", w.name, nameSSHFS, 1)
	}
	for _, l := range []struct {
		work            string
		plain, withSync float64
	}{
		{"ls -l of 5,000 names", 0.4, 0}, {"find over 441 entries", 0.7, 0}, {"tar of 441 entries", 3, 0},
		{"grep -r over 441 entries", 3, 0}, {"git status of 400 files", 2, 0}, {"ten saves of an editor", 3.6, 0},
		{"cp of 64 MiB within the mount", 0.6, 0}, {"cp -r of 88 files", 16, 1.5}, {"untar of 139 entries", 16, 1.5},
		{"rm -rf of 139 entries", 8, 0.7}, {"git clone of 400 files", 100, 10},
	} {
		g.atMost("50 ms", l.work, nameMount, l.plain)
		if l.withSync > 0 {
			g.atMost("50 ms", l.work, nameAsync, l.withSync)
		}
	}
	return g
}

func cpuGoal(read string) goal {
	return goal{"0 ms", read, nameMount, "CPU per GiB ≤ 0.8 × sshfs", func(t *table) (string, bool) {
		a, b := t.cell("0 ms", read, nameMount), t.cell("0 ms", read, nameSSHFS)
		if !a.usable() || !b.usable() || b.cpuPerGiB == 0 {
			return "not measured", false
		}
		x := a.cpuPerGiB / b.cpuPerGiB
		return fmt.Sprintf("%.2f × (%.2f s)", x, a.cpuPerGiB), x <= 0.8
	}}
}

func memoryGoal() goal {
	const work = "cp of 1 GiB in and out"
	return goal{"50 ms", work, nameMount, "peak memory ≤ 160 MiB", func(t *table) (string, bool) {
		c := t.cell("50 ms", work, nameMount)
		if !c.usable() {
			return "not measured", false
		}
		return fmt.Sprintf("%d MiB", c.peak/mib), c.peak <= 160*mib
	}}
}
