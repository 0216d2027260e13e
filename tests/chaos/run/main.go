// Command run breaks the line under working programs for as long as it is told: see scripts/chaos.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"sshmount/tests/chaos"
)

func main() {
	chaos.BecomeWorker()
	var (
		length  = flag.Duration("for", time.Hour, "go on for this `time`; what has begun is finished")
		mounts  = flag.Int("mounts", 2, "`number` of mounts at work at the same time, each with a server and a line of its own")
		seed    = flag.Uint64("seed", 0, "`seed` of the first round of the first mount (default: a random one)")
		rounds  = flag.Int("rounds", 0, "end each mount after this `number` of rounds; 0: when the time is over")
		faults  = flag.String("fault", "", "only faults whose name matches this `expression`")
		works   = flag.String("work", "", "only works whose name matches this `expression`, all at once; default: a random choice each round")
		least   = flag.Duration("least", 200*time.Millisecond, "`time` of the shortest outage")
		most    = flag.Duration("most", 20*time.Second, "`time` of the longest outage")
		command = flag.String("command", "bin/sshmount-race", "`program` that mounts, with its arguments (sshfs, for example, to compare)")
		options = flag.String("options", "", "more `arguments` for it")
		dir     = flag.String("dir", "", "`folder` for the servers' files and the logs (default: a temporary one, kept after a failure)")
		async   = flag.Bool("async", false, "mount with -o async, and sync before looking at the server")
		stop    = flag.Bool("stop", false, "stop at the first failure")
	)
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: scripts/chaos [options]\nBreaks the line under working programs, and looks whether any of them noticed.")
		flag.PrintDefaults()
		fmt.Fprint(os.Stderr, "faults:")
		for _, f := range chaos.Faults() {
			fmt.Fprint(os.Stderr, " ", f.Name)
		}
		fmt.Fprint(os.Stderr, "\nworks:")
		for _, w := range chaos.Works() {
			fmt.Fprint(os.Stderr, " ", w.Name)
		}
		fmt.Fprintln(os.Stderr)
	}
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	c := campaign{length: *length, rounds: *rounds, least: *least, most: *most, async: *async, stopEarly: *stop, stop: cancel, began: time.Now()}
	err := func() error {
		f, err := regexp.Compile(*faults)
		if err != nil {
			return err
		}
		w, err := regexp.Compile(*works)
		if err != nil {
			return err
		}
		nsErr := chaos.NamespacesWork()
		for _, fault := range chaos.Faults() {
			if f.MatchString(fault.Name) {
				if fault.Namespace && nsErr != nil {
					fmt.Printf("fault %s is left out: %v\n", fault.Name, nsErr)
					continue
				}
				c.namespace = c.namespace || fault.Namespace
				c.faults = append(c.faults, fault)
			}
		}
		for _, work := range chaos.Works() {
			if w.MatchString(work.Name) {
				c.works = append(c.works, work)
			}
		}
		if len(c.faults) == 0 || len(c.works) == 0 {
			return errors.New("no fault or no work has a name like that")
		}
		c.choose = *works == ""
		c.command = strings.Fields(*command)
		if strings.Contains(c.command[0], "/") {
			if c.command[0], err = filepath.Abs(c.command[0]); err != nil {
				return err
			}
		}
		c.options = strings.Fields(*options)
		if *dir == "" {
			c.temporary = true
			if *dir, err = os.MkdirTemp("", "sshmount-chaos-"); err != nil {
				return err
			}
		}
		c.dir = *dir
		if *seed == 0 {
			*seed = rand.Uint64() >> 1
		}
		fmt.Printf("seed %d, files and logs in %s\n", *seed, c.dir)
		return c.run(ctx, *mounts, *seed)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// campaign is what the mounts share.
type campaign struct {
	faults      []chaos.Fault
	works       []chaos.Work
	choose      bool // a part of the works each round
	namespace   bool // mounts are in network namespaces, so that every fault can happen to them
	command     []string
	options     []string
	dir         string
	temporary   bool // dir goes away after success
	length      time.Duration
	rounds      int
	least, most time.Duration
	began       time.Time
	async       bool
	stopEarly   bool
	stop        func()

	mu     sync.Mutex // guards what follows, and the order of what is printed
	done   int
	failed []chaos.Result
}

func (c *campaign) run(ctx context.Context, mounts int, seed uint64) error {
	errs := make([]error, mounts)
	var wg sync.WaitGroup
	for i := range mounts {
		wg.Go(func() { errs[i] = c.one(ctx, i, seed+uint64(i)*1_000_000) })
	}
	wg.Wait()
	fmt.Printf("\n%d works in %v, %d of them noticed something\n", c.done, time.Since(c.began).Round(time.Second), len(c.failed))
	for _, f := range c.failed {
		fmt.Printf("  scripts/chaos --seed %d --rounds 1 --mounts 1 --fault '^%s$' --work '^%s$'\n", f.Seed, f.Fault, f.Work)
	}
	if len(c.failed) > 0 || errors.Join(errs...) != nil {
		return fmt.Errorf("failed (logs are in %s)", c.dir)
	}
	if c.temporary {
		return os.RemoveAll(c.dir)
	}
	return nil
}

// one keeps one mount busy.
func (c *campaign) one(ctx context.Context, number int, seed uint64) error {
	dir := filepath.Join(c.dir, fmt.Sprint("rig", number))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	r, err := chaos.NewRig(ctx, chaos.Config{Dir: dir, Command: c.command, Options: c.options, Namespace: c.namespace, Async: c.async})
	if err != nil {
		fmt.Printf("mount %d: %v\n", number, err)
		return err
	}
	for round := 0; ctx.Err() == nil && time.Since(c.began) < c.length && (c.rounds == 0 || round < c.rounds); round++ {
		s := seed + uint64(round)
		rng := rand.New(rand.NewPCG(s, 77))
		fault := c.faults[rng.IntN(len(c.faults))]
		works := c.works
		if c.choose {
			works = nil
			for _, i := range rng.Perm(len(c.works))[:1+rng.IntN(len(c.works))] {
				works = append(works, c.works[i])
			}
		}
		results := r.Round(fault, works, s, c.least, c.most)
		if ctx.Err() != nil && !c.stopEarly {
			break // what was interrupted says nothing
		}
		c.mu.Lock()
		for _, res := range results {
			c.done++
			fmt.Printf("%s mount %d: %v\n", time.Now().Format(time.TimeOnly), number, res)
			if res.Err != nil {
				c.failed = append(c.failed, res)
			}
		}
		if len(c.failed) > 0 && c.stopEarly {
			c.stop()
		}
		c.mu.Unlock()
	}
	if err := r.Close(); err != nil {
		fmt.Printf("mount %d, at its end: %v\n", number, err)
		return err
	}
	return nil
}
