package fusefs_test

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The kernel asks for several pages in the background. The program waits for the pages then, and its signals send no interrupt.
func TestASignalThatAsksToStopEndsTheReadingOfPages(t *testing.T) {
	needPerl(t)
	m := mount(t)
	put(t, m.server("file"), strings.Repeat("x", 4<<20))
	w := &waiter{t: t, cmd: exec.Command("perl", "-e", `use Fcntl; $| = 1; $SIG{INT} = sub { $n++ }; sysopen(my $f, $ARGV[0], O_RDONLY) or die;
		print "open\n"; sysread(STDIN, my $x, 10); sysseek($f, 3 << 20, 0); $got = sysread($f, $x, 20000);
		print defined $got ? "$got bytes" : "errno " . ($!+0)`, m.path("file")), done: make(chan error, 1)}
	in, err := w.cmd.StdinPipe()
	check(t, err)
	out, err := w.cmd.StdoutPipe()
	check(t, err)
	check(t, w.cmd.Start())
	opened := make([]byte, len("open\n"))
	_, err = io.ReadFull(out, opened)
	check(t, err)
	m.tell("freeze")
	defer m.tell("thaw")
	_, err = io.WriteString(in, "read\n")
	check(t, err)
	m.awaitWaiting(1)
	w.signal(syscall.SIGINT)
	go func() {
		said, _ := io.ReadAll(out)
		w.out = *bytes.NewBuffer(said)
		w.done <- w.cmd.Wait()
	}()
	if said := w.ends(); said != "errno 4" {
		t.Errorf("the program says %s, want EINTR", said)
	}
}
