// Command run is the line emulator by hand: it carries TCP connections over a line of the
// given delay and rate, and obeys commands on standard input.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sshmount/tests/line"
)

const help = `commands:
  reset                 end all connections with a RST to both sides
  blackhole             everything vanishes, nothing fails; present connections stay lost
  halfopen              answers of present connections vanish, requests still arrive
  servergone            the server loses the present connections, the client is not told
  stall up|down|both    hold back one direction, or both
  trickle up|down|both BYTES
                        so many bytes a second and connection
  refuse                refuse new connections
  resume                end stall, trickle, blackhole and refuse
  rtt DURATION          such as 50ms
  rate RATE             such as 20mbit, 1gbit, 3MB or 0
  perconn RATE          for each connection
  queue BYTES           in front of the link
  stats
  quit`

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen at")
	to := flag.String("to", "", "`host:port` of the server")
	rtt := flag.Duration("rtt", 0, "round-trip `time`")
	rate := flag.String("rate", "0", "`rate` of each direction: 20mbit, 1gbit, 3MB (bytes); 0: no limit")
	perConn := flag.String("perconn", "0", "`rate` of each connection and direction")
	queue := flag.Int("queue", 0, "`bytes` that may wait in front of the link; 0: as many as it carries in 50 ms")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: scripts/line --to host:port [--listen address] [--rtt time] [--rate rate]")
		flag.PrintDefaults()
		fmt.Fprintln(os.Stderr, help)
	}
	flag.Parse()
	if *to == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	bps, err := parseRate(*rate)
	fatal(err)
	each, err := parseRate(*perConn)
	fatal(err)
	l, err := line.New(*to, line.Config{Listen: *listen, Delay: *rtt / 2, BytesPerSecond: bps, PerConn: each, Queue: *queue})
	fatal(err)
	defer l.Close()
	fmt.Printf("%s to %s: round trip %v, rate %s\n", l.Addr(), *to, *rtt, *rate)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	lines := make(chan string)
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			lines <- in.Text()
		}
		// Standard input may end, as under a service manager: the line then runs until a signal.
	}()
	for {
		select {
		case <-stop:
			return
		case text := <-lines:
			words := strings.Fields(text)
			if len(words) == 0 {
				continue
			}
			if words[0] == "quit" {
				return
			}
			if err := obey(l, words); err != nil {
				fmt.Println(err)
			} else {
				fmt.Println("ok")
			}
		}
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "line:", err)
		os.Exit(1)
	}
}

func obey(l *line.Line, words []string) error {
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	each := func(which string, do func(line.Way)) error {
		switch which {
		case "up":
			do(line.Up)
		case "down":
			do(line.Down)
		case "both":
			do(line.Up)
			do(line.Down)
		default:
			return fmt.Errorf("say up, down or both, not %q", which)
		}
		return nil
	}
	set := func(alter func(*line.Direction)) error {
		return each("both", func(w line.Way) {
			d := l.Get(w)
			alter(&d)
			l.Set(w, d)
		})
	}
	switch words[0] {
	case "reset":
		l.Reset()
	case "blackhole":
		l.BlackHole()
	case "halfopen":
		l.HalfOpen()
	case "servergone":
		l.ServerGone()
	case "stall":
		return each(word(1), l.Stall)
	case "trickle":
		n, err := strconv.ParseInt(word(2), 10, 64)
		if err != nil || n <= 0 {
			return fmt.Errorf("trickle: how many bytes a second is %q?", word(2))
		}
		return each(word(1), func(w line.Way) { l.Trickle(w, n) })
	case "refuse":
		l.Refuse()
	case "resume":
		return l.Resume()
	case "rtt":
		d, err := time.ParseDuration(word(1))
		if err != nil {
			return err
		}
		return set(func(dir *line.Direction) { dir.Delay = d / 2 })
	case "rate", "perconn":
		n, err := parseRate(word(1))
		if err != nil {
			return err
		}
		return set(func(dir *line.Direction) {
			if words[0] == "rate" {
				dir.BytesPerSecond = n
			} else {
				dir.PerConn = n
			}
		})
	case "queue":
		n, err := strconv.Atoi(word(1))
		if err != nil {
			return err
		}
		return set(func(dir *line.Direction) { dir.Queue = n })
	case "stats":
		fmt.Printf("%+v\n", l.Stats())
	default:
		return fmt.Errorf("no command %q\n%s", words[0], help)
	}
	return nil
}

// parseRate reads bits (kbit, mbit, gbit) or bytes (kB, MB, GB, or no unit) per second.
func parseRate(s string) (bytesPerSecond int64, err error) {
	lower := strings.TrimSuffix(strings.ToLower(s), "/s")
	for _, u := range []struct {
		suffix string
		bytes  float64
	}{{"kbit", 125}, {"mbit", 125e3}, {"gbit", 125e6}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"", 1}} {
		number, ok := strings.CutSuffix(lower, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || v < 0 {
			break
		}
		return int64(v * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is not a rate: write 20mbit, 1gbit or 3MB", s)
}
