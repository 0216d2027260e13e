package sshdial

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sshmount/sftpconn/transport"
)

// dam is a line to a server that can stop what the client sends, with nothing lost.
type dam struct {
	port   int
	stop   chan struct{}     // closed by the test
	stands chan *net.TCPConn // the client's connection, when nothing is read from it any more
}

func newDam(t *testing.T, to string) *dam {
	d := &dam{stop: make(chan struct{}), stands: make(chan *net.TCPConn, 1)}
	d.port = listener(t, func(c net.Conn) {
		client := c.(*net.TCPConn)
		client.SetReadBuffer(32 << 10) // what comes after the stop stays with the sender
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer server.Close()
		go io.Copy(client, server)
		stopped := make(chan struct{})
		go func() {
			<-d.stop
			client.SetReadDeadline(time.Unix(1, 0))
			close(stopped)
		}()
		if _, err := io.Copy(server, client); err == nil {
			return
		}
		<-stopped
		client.SetReadDeadline(time.Time{})
		d.stands <- client
		<-t.Context().Done()
	})
	return d
}

func TestWhatAProgramHadSentReachesNobodyAfterTheEndOfItsLine(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "key", "ed25519", "")
	s := startServer(t, []string{key})
	for _, row := range []struct {
		what   string
		client func(o *Options, port int)
	}{
		{"ssh", func(o *Options, port int) {
			o.SSHCommand = "ssh"
			o.SSHOptions = append(o.SSHOptions, fmt.Sprintf("HostKeyAlias=[127.0.0.1]:%s", o.Port))
			o.Port = o2s(port)
		}},
		{"ProxyCommand", func(o *Options, port int) {
			o.SSHOptions = append(o.SSHOptions, fmt.Sprintf("ProxyCommand=bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d; cat <&3 & cat >&3'", port))
		}},
	} {
		for _, end := range []string{"closed", "killed"} {
			t.Run(row.what+" "+end, func(t *testing.T) {
				d := newDam(t, s.address())
				o := s.options(t, key)
				row.client(&o, d.port)
				tr := dial(t, o)
				ch := speaksSFTP(t, tr)
				close(d.stop)
				server := <-d.stands
				fill(t, ch)
				there := dammed(t, server)
				if end == "killed" {
					s.killOthers(t)
				}
				tr.Close()
				server.SetReadDeadline(time.Now().Add(20 * time.Second))
				n, err := io.Copy(io.Discard, server)
				if n > int64(there) {
					t.Errorf("%d bytes had arrived when the line was given up, and %d more came afterwards", there, n-int64(there))
				}
				if t.Logf("%d bytes, then %v", n, err); err == nil {
					t.Error("the connection ended as if all had been said")
				}
			})
		}
	}
}

// killOthers kills what this test has started, except for the server.
func (s *server) killOthers(t *testing.T) {
	t.Helper()
	server := family(s.cmd.Process.Pid)
	killed := slices.DeleteFunc(family(os.Getpid())[1:], func(pid int) bool { return slices.Contains(server, pid) })
	if len(killed) == 0 {
		t.Fatal("there is nothing to kill")
	}
	for _, pid := range killed {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for _, pid := range killed {
		for end := time.Now().Add(20 * time.Second); !isOver(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("a process that was killed goes on")
			}
		}
	}
}

// isOver says of a process that nothing is left of it, or what its parent has not asked for. Its connections are closed then: that
// it has no descriptors any more says nothing, as they are closed after it has lost them.
func isOver(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	state := stat[bytes.LastIndexByte(stat, ')')+2]
	return state == 'Z' || state == 'X'
}

// fill writes to ch until nothing more goes into any buffer on the way.
func fill(t *testing.T, ch transport.Channel) {
	t.Helper()
	wrote := make(chan int)
	go func() {
		defer close(wrote)
		for b := make([]byte, 16<<10); ; {
			n, err := ch.Write(b)
			if err != nil {
				return
			}
			wrote <- n
		}
	}()
	total := 0
	for {
		select {
		case n, ok := <-wrote:
			if !ok {
				t.Fatal("the line broke by itself")
			}
			total += n
		case <-time.After(time.Second):
			if total < 1<<20 {
				continue // much more than fits into what the server has for it
			}
			go func() {
				for range wrote { // the writer ends with the line
				}
			}()
			t.Logf("%d bytes written", total)
			return
		}
	}
}

// dammed is how much has arrived at c when no more does: who sends may have been without a processor for a while.
func dammed(t *testing.T, c *net.TCPConn) int {
	t.Helper()
	n, since := received(t, c), time.Now()
	for time.Since(since) < time.Second {
		time.Sleep(10 * time.Millisecond)
		if more := received(t, c); more != n {
			n, since = more, time.Now()
		}
	}
	return n
}

// received is how much has arrived at c and was not read.
func received(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return n
}

func TestAMasterInTheBackgroundOutlivesTheLineThatHasStartedIt(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "key", "ed25519", "")
	s := startServer(t, []string{key})
	// The path of a socket is short, and that of a test's folder may be long.
	short, err := os.MkdirTemp("/tmp", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	path := filepath.Join(short, "master")
	o := s.options(t, key, "ControlMaster=auto", "ControlPath="+path, "ControlPersist=60")
	o.SSHCommand = "ssh"
	tr := dial(t, o)
	t.Cleanup(func() { exec.Command("ssh", "-O", "exit", "-S", path, "x").Run() })
	speaksSFTP(t, tr)
	closeTransport(t, tr)
	// A session on the master's connection, which is no other's.
	out, err := exec.Command("ssh", "-S", path, "-oControlMaster=no", "-oProxyCommand=false", "x", "echo here").CombinedOutput()
	if err != nil || string(out) != "here\n" {
		t.Errorf("%s: %v", out, err)
	}
}
