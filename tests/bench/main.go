// Command bench measures sshmount beside the other programs that move files over SSH, on
// the same lines in one run: see scripts/bench.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// profile is a line to measure over.
type profile struct {
	name string
	rtt  time.Duration
	rate int64 // bytes per second each way; 0: none but this machine's
	port int   // to connect to
}

func (p *profile) describe() string {
	if p.rate == 0 {
		return "Loopback, without delay or limit"
	}
	return fmt.Sprintf("Round trip %v, %g Mbit/s", p.rtt, float64(p.rate)/125e3)
}

type settings struct {
	short   bool
	rounds  int
	timeout time.Duration
	budget  time.Duration // nothing more is measured after this; 0: everything is
	slow    time.Duration // what takes longer is measured once
	out     string
	binary  string
	peers   []string
	works   *regexp.Regexp
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == lineArg {
		if err := beLine(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "line:", err)
			os.Exit(1)
		}
		return
	}
	var (
		s       settings
		rtts    = flag.String("rtt", "0,10,50,150", "round-trip `times` in ms, with commas; 0 is without a line")
		rates   = flag.String("rate", "", "`rate` of the lines in Mbit/s (default 1000, and 20 at 50 ms besides)")
		peers   = flag.String("peers", "", "`names` of those to measure, with commas: sshmount, sshmount async, sshfs, rclone, ssh, sftp (default all installed)")
		works   = flag.String("work", "", "measure only works whose name matches this `expression`")
		folder  = flag.String("data", "", "`folder` for the server's files and the local ones (default: in memory, /dev/shm, where there is room)")
		options = flag.String("options", "", "more `arguments` for sshmount's command line, with spaces")
		drop    = flag.Bool("drop-caches", false, "drop all page caches before each measure, the server's too (root)")
		profile = flag.Bool("pprof", true, "profile sshmount too")
	)
	flag.BoolVar(&s.short, "short", false, "the most telling works at 0 and 50 ms, within three minutes")
	flag.IntVar(&s.rounds, "rounds", 3, "`number` of rounds; in each everything is measured once")
	flag.DurationVar(&s.timeout, "timeout", 0, "give a measure up after this `time` (default 2m; short form: 5s, sshmount 20s)")
	flag.StringVar(&s.out, "out", "", "`folder` for the report (default bench-out-DATE in the temporary folder)")
	flag.StringVar(&s.binary, "sshmount", "bin/sshmount", "`file` to measure")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: scripts/bench [options]\nMeasures sshmount beside what is installed of sshfs, rclone, ssh and sftp, and writes a report with charts.")
		flag.PrintDefaults()
	}
	flag.Parse()
	// Go takes some milliseconds to notice that a system call on a mount does not return, and
	// to lend its processor to others: there must be enough for all that are in one.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 16))
	given := make(map[string]bool)
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if s.short && !given["rtt"] {
		*rtts = "0,50"
	}
	s.slow = 30 * time.Second
	if s.short {
		s.budget, s.slow = 150*time.Second, 2*time.Second
	}
	if *peers != "" {
		s.peers = strings.Split(*peers, ",")
	}
	err := func() error {
		var err error
		if s.works, err = regexp.Compile("(?i)" + *works); err != nil {
			return err
		}
		profiles, err := parseProfiles(*rtts, *rates, s.short)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		r, err := newRig(*folder, profiles)
		if err != nil {
			return err
		}
		defer r.close()
		r.dropCaches, r.extra = *drop, strings.Fields(*options)
		return bench(ctx, r, profiles, s, *profile)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseProfiles(rtts, rates string, short bool) ([]*profile, error) {
	var all []*profile
	speeds := []float64{1000}
	if rates != "" {
		speeds = nil
		for f := range strings.SplitSeq(rates, ",") {
			v, err := strconv.ParseFloat(f, 64)
			if err != nil || v <= 0 {
				return nil, fmt.Errorf("--rate: %q is not a number of Mbit/s", f)
			}
			speeds = append(speeds, v)
		}
	}
	add := func(ms, mbit float64) {
		p := &profile{name: fmt.Sprintf("%g ms", ms), rtt: time.Duration(ms * float64(time.Millisecond)), rate: int64(mbit * 125e3)}
		if mbit != 1000 && mbit != 0 {
			p.name += fmt.Sprintf(" %g Mbit/s", mbit)
		}
		all = append(all, p)
	}
	for f := range strings.SplitSeq(rtts, ",") {
		ms, err := strconv.ParseFloat(strings.TrimSuffix(f, "ms"), 64)
		if err != nil || ms < 0 {
			return nil, fmt.Errorf("--rtt: %q is not a number of milliseconds", f)
		}
		if ms == 0 && rates == "" {
			add(0, 0)
			continue
		}
		for _, mbit := range speeds {
			add(ms, mbit)
		}
		if ms == 50 && rates == "" && !short {
			defer add(50, 20)
		}
	}
	return all, nil
}

func bench(ctx context.Context, r *rig, profiles []*profile, s settings, profiling bool) error {
	began := time.Now()
	if s.out == "" {
		s.out = filepath.Join(os.TempDir(), "bench-out-"+began.Format("20060102-150405"))
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	binary, err := filepath.Abs(s.binary)
	if err != nil {
		return err
	}
	t := &table{profiles: profiles}
	var notes []string
	for _, pe := range allPeers(binary) {
		if len(s.peers) > 0 && !slices.Contains(s.peers, pe.name) {
			continue
		}
		if !pe.installed() {
			notes = append(notes, fmt.Sprintf("%s is not installed here and was left out.", pe.name))
			continue
		}
		t.peers = append(t.peers, pe)
	}
	for _, w := range allWorks() {
		if s.works.MatchString(w.name) {
			t.works = append(t.works, w)
		}
	}
	if len(t.works) == 0 || len(t.peers) == 0 {
		return fmt.Errorf("nothing to measure: %d works, %d peers", len(t.works), len(t.peers))
	}
	done := t.measureAll(ctx, r, s, began)
	if !done && ctx.Err() == nil {
		notes = append(notes, "The short form ran out of its time before the last round was through: what is missing below was not measured.")
	}
	var profiled string
	for _, pe := range t.peers {
		if pe.name == nameMount && profiling && ctx.Err() == nil {
			profiled = r.profile(ctx, profiles[0], pe, s.out)
		}
	}
	text, err := t.report(s.out, began, notes, profiled)
	if err != nil {
		return err
	}
	fmt.Print(text)
	fmt.Fprintf(os.Stderr, "\n%v; report and charts are in %s\n", time.Since(began).Round(time.Second), s.out)
	return ctx.Err()
}

// measureAll fills the table, and says whether it came to the end.
func (t *table) measureAll(ctx context.Context, r *rig, s settings, began time.Time) bool {
	once := make(map[string]bool) // what is not measured again
	for round := range s.rounds {
		for _, w := range t.works {
			for _, p := range t.profiles { // within the works, so that whoever runs out of time has some of each line
				if w.on != nil && !w.on(p) || s.short && !w.short {
					continue
				}
				for i := range t.peers {
					pe := t.peers[(i+round)%len(t.peers)] // whoever is first has the colder machine
					key := p.name + "|" + w.name + "|" + pe.name
					if !w.suits(pe) || once[key] || s.short && skipInShort(w, pe) {
						continue
					}
					if ctx.Err() != nil {
						return false
					}
					if s.budget > 0 && time.Since(began) > s.budget {
						return false
					}
					got := r.run(ctx, p, w, pe, round, s.limit(pe))
					if ctx.Err() != nil {
						return false
					}
					t.samples = append(t.samples, got)
					if got.Cut || got.Failed != "" || got.Elapsed > s.slow {
						once[key] = true
					}
					t.progress(round, w, got)
				}
			}
		}
	}
	return true
}

func (s settings) limit(pe *peer) time.Duration {
	switch {
	case s.timeout > 0:
		return s.timeout
	case !s.short:
		return 2 * time.Minute
	case pe.name == nameMount || pe.name == nameAsync:
		return 20 * time.Second
	default:
		return 5 * time.Second
	}
}

// skipInShort leaves out what would take the time and tell little: all but the plainest works
// with peers that they are not compared with, and what -o async does not change.
func skipInShort(w *work, pe *peer) bool {
	switch pe.name {
	case nameClone, nameSFTP:
		return !strings.HasPrefix(w.name, "sequential")
	case nameAsync:
		return w.bulk
	}
	return false
}

func (t *table) progress(round int, w *work, s sample) {
	c := (&table{profiles: t.profiles, works: t.works, samples: []sample{s}}).cell(s.Profile, s.Work, s.Peer)
	text := c.show() + " " + w.unit()
	if s.Failed != "" {
		text = "failed: " + s.Failed
	}
	fmt.Fprintf(os.Stderr, "round %d, %-16s %-34s %-15s %s\n", round+1, s.Profile, w.name, s.Peer, text)
}
