package main

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"sshmount/tests/line"
)

// farLine is a line in a process of its own. In the bench's it would carry its bytes with the
// threads of the program that reads and writes, and be paid for by the work that it measures.
type farLine struct {
	cmd  *exec.Cmd
	in   io.WriteCloser // its end is the line's
	addr string
	port int
}

// lineArg as the first argument makes the bench such a process.
const lineArg = "a-line"

func startLine(to string, cfg line.Config) (l *farLine, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l = &farLine{cmd: exec.Command(self, lineArg, to, cfg.Delay.String(), fmt.Sprint(cfg.BytesPerSecond))}
	l.cmd.Stderr = os.Stderr
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	text, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the line to %s does not begin: %w", to, err)
	}
	l.addr = strings.TrimSpace(text)
	at, err := netip.ParseAddrPort(l.addr)
	l.port = int(at.Port())
	return l, err
}

func (l *farLine) close() {
	l.in.Close()
	l.cmd.Wait()
}

// beLine carries connections until standard input ends. args are the server's address, the
// delay one way, and the rate in bytes a second.
func beLine(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("a line needs an address, a delay and a rate, not %q", args)
	}
	delay, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	rate, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return err
	}
	l, err := line.New(args[0], line.Config{Delay: delay, BytesPerSecond: rate})
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println(l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
