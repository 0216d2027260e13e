package main

import "time"

// work is something that people do with a remote directory.
type work struct {
	name string
	// short: part of the short form.
	short bool
	// bulk works are shown in bytes per second, others in seconds.
	bulk bool
	// perOp divides the time, where a work is so many times the same; 0: not divided.
	perOp int
	// changes: a work that makes, changes or removes, for which -o async is measured too.
	changes bool
	// unmounted: the work mounts by itself.
	unmounted bool
	// on tells over which lines it is done; nil: over all.
	on func(*profile) bool
	// extra is the meaning of a second figure, and its unit.
	extra, extraUnit string

	prepare func(m *measure) error            // on the server's disk, before mounting
	run     map[string]func(m *measure) error // by the kind of peer; calls m.time
	check   func(m *measure) error            // of what is on the server afterwards
}

func (w *work) suits(p *peer) bool {
	if p.name == nameAsync && !w.changes {
		return false
	}
	return w.run[kind(p)] != nil
}

// value is the figure that is shown: bytes per second, or seconds (of each operation).
func (w *work) value(s sample) float64 {
	if w.bulk {
		return s.rate()
	}
	v := s.Elapsed.Seconds()
	if w.perOp > 0 {
		v /= float64(w.perOp)
	}
	return v
}

func mounts(f func(m *measure) error) map[string]func(*measure) error {
	return map[string]func(*measure) error{"mount": f}
}

// fast says that a line is one on which 256 MiB are no matter of minutes.
func fast(p *profile) bool { return p.rate == 0 || p.rate >= 50e6 }

// allWorks in the order in which reports show them.
func allWorks() []*work {
	return append(bulkWorks(), treeWorks()...)
}

// within polls a condition on the server's disk, for peers that write later than they say.
func within(m *measure, limit time.Duration, done func() bool) error {
	for deadline := time.Now().Add(limit); !done(); time.Sleep(5 * time.Millisecond) {
		if m.ctx.Err() != nil || time.Now().After(deadline) {
			return errCut
		}
	}
	return nil
}
