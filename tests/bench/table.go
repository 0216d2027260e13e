package main

import (
	"fmt"
	"slices"
	"time"
)

// table is all samples, and what they say together.
type table struct {
	profiles []*profile
	works    []*work
	peers    []*peer
	samples  []sample
}

// cell is one peer at one work over one line.
type cell struct {
	work      *work
	n         int
	value     float64 // median; see work.value
	cut       bool    // every measure was given up: the value is a bound
	failed    string
	cpuPerGiB float64 // seconds
	cpu       time.Duration
	peak      int64
	extra     float64
	elapsed   time.Duration
	drain     time.Duration
}

func (c cell) usable() bool { return c.n > 0 && c.failed == "" && c.value > 0 }

// seconds is a measure of slowness, whichever way the value is counted.
func (c cell) seconds() float64 {
	if c.work.bulk {
		return 1 / c.value
	}
	return c.value
}

func median[T int64 | float64 | time.Duration](v []T) T {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	mid := len(v) / 2
	if len(v)%2 == 0 {
		return (v[mid-1] + v[mid]) / 2
	}
	return v[mid]
}

func (t *table) line(name string) *profile {
	for _, p := range t.profiles {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (t *table) work(name string) *work {
	for _, w := range t.works {
		if w.name == name {
			return w
		}
	}
	return nil
}

func (t *table) cell(profile, workName, peer string) cell {
	c := cell{work: t.work(workName)}
	if c.work == nil || t.line(profile) == nil {
		return c
	}
	var good, cut []sample
	for _, s := range t.samples {
		if s.Profile != profile || s.Work != workName || s.Peer != peer {
			continue
		}
		switch {
		case s.Failed != "":
			c.failed = s.Failed // one failure fails the cell: nobody wants the median of the luck
		case s.Cut:
			cut = append(cut, s)
		default:
			good = append(good, s)
		}
	}
	use := good
	if len(cut) > len(good) {
		use, c.cut = cut, true
	}
	c.n = len(use)
	pick := func(f func(sample) float64) float64 {
		var v []float64
		for _, s := range use {
			v = append(v, f(s))
		}
		return median(v)
	}
	c.value = pick(c.work.value)
	c.extra = pick(func(s sample) float64 { return s.Extra })
	c.cpu = time.Duration(pick(func(s sample) float64 { return float64(s.CPU) }))
	c.elapsed = time.Duration(pick(func(s sample) float64 { return float64(s.Elapsed) }))
	c.drain = time.Duration(pick(func(s sample) float64 { return float64(s.Drain) }))
	c.cpuPerGiB = pick(func(s sample) float64 {
		if s.Bytes == 0 {
			return 0
		}
		return s.CPU.Seconds() * (1 << 30) / float64(s.Bytes)
	})
	for _, s := range use {
		c.peak = max(c.peak, s.Peak)
	}
	return c
}

// show is the cell's text: the figure alone, in the unit of its row.
func (c cell) show() string {
	switch {
	case c.failed != "":
		return "failed"
	case c.n == 0:
		return ""
	case c.work.bulk && c.cut && c.value == 0:
		return fmt.Sprintf("> %.0f s", c.elapsed.Seconds())
	case c.work.bulk && c.cut:
		return fmt.Sprintf("(%.1f)", c.value/1e6)
	case c.work.bulk:
		return fmt.Sprintf("%.1f", c.value/1e6)
	case c.cut && c.work.perOp > 0:
		return fmt.Sprintf("> %.1f", c.value*1000)
	case c.cut:
		return fmt.Sprintf("> %.1f", c.value)
	case c.work.perOp > 0:
		return fmt.Sprintf("%.2f", c.value*1000)
	default:
		return fmt.Sprintf("%.3f", c.value)
	}
}

func (w *work) unit() string {
	switch {
	case w.bulk:
		return "MB/s"
	case w.perOp > 0:
		return "ms each"
	default:
		return "s"
	}
}
