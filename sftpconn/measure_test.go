package sftpconn_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sshdial"
	"sshmount/tests/line"
)

// BenchmarkTransfer measures one file over a real sshd behind a long line, and what
// a look-up takes meanwhile. It is run by hand on a quiet machine:
//
//	go test -run '^$' -bench Transfer -benchtime 1x ./sftpconn
func BenchmarkTransfer(b *testing.B) {
	sshd := startSSHD(b)
	for _, way := range []struct {
		rtt  time.Duration
		mbit int64
		size int
	}{
		{0, 0, 256 << 20},
		{50 * time.Millisecond, 1000, 256 << 20},
		{150 * time.Millisecond, 1000, 256 << 20},
		{50 * time.Millisecond, 20, 24 << 20},
	} {
		for _, dir := range []string{"read", "write"} {
			b.Run(fmt.Sprintf("%s/%v/%dMbit", dir, way.rtt, way.mbit), func(b *testing.B) {
				for range b.N {
					measure(b, sshd, dir, way.rtt, way.mbit*1e6/8, way.size)
				}
			})
		}
	}
}

func measure(b *testing.B, sshd *sshd, dir string, rtt time.Duration, rate int64, size int) {
	b.StopTimer()
	defer b.StartTimer()
	way, err := line.New(sshd.addr, line.Config{Delay: rtt / 2, BytesPerSecond: rate, Queue: line.Deep})
	if err != nil {
		b.Fatal(err)
	}
	defer way.Close()
	c := sshd.connect(b, way.Port())
	defer c.Close()
	want := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(want)
	path := filepath.Join(b.TempDir(), "f")
	if dir == "read" {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			b.Fatal(err)
		}
		// A file as fresh as this one would be read over one channel.
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			b.Fatal(err)
		}
	}
	got := make([]byte, size)

	looked := lookMeanwhile(b, c, path+"-absent")
	b.StartTimer()
	begun := time.Now()
	f, _, err := c.Open(b.Context(), sftpconn.OpenRequest{Path: func() string { return path },
		Pflags: map[string]uint32{"read": session.OpenRead, "write": session.OpenWrite | session.OpenCreate | session.OpenTrunc}[dir], Perm: 0o644})
	if err != nil {
		b.Fatal(err)
	}
	if dir == "write" {
		transfer(b, f, want, (*sftpconn.File).WriteAt)
		if err := f.Fsync(b.Context()); err != nil {
			b.Fatal(err)
		}
	} else {
		transfer(b, f, got, readFull)
	}
	took := time.Since(begun)
	b.StopTimer()
	looks := looked()
	f.Close()
	if dir == "write" {
		if got, err = os.ReadFile(path); err != nil {
			b.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		b.Error("the bytes differ")
	}
	b.ReportMetric(float64(size)/took.Seconds()/1e6, "MB/s")
	if rate > 0 {
		b.ReportMetric(100*float64(size)/took.Seconds()/float64(rate), "%line")
	}
	if len(looks) > 0 {
		slices.Sort(looks)
		b.ReportMetric(float64(looks[len(looks)/2].Milliseconds()), "ms/lookup")
		b.ReportMetric(float64(looks[len(looks)*9/10].Milliseconds()), "ms/lookup-p90")
	}
	b.ReportMetric(float64(c.Status().Channels), "channels")
}

// lookMeanwhile looks for a name that is not there, now and then, until the times that it took are asked for.
func lookMeanwhile(b *testing.B, c *sftpconn.Conn, absent string) (took func() []time.Duration) {
	var looks []time.Duration
	stop := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			begun := time.Now()
			if _, err := c.Lstat(b.Context(), absent); err == nil {
				b.Error("it is there")
			}
			looks = append(looks, time.Since(begun))
		}
	})
	return func() []time.Duration {
		close(stop)
		looking.Wait()
		return looks
	}
}

// transfer reads or writes a whole file, with as many requests as a window of 32 MiB allows.
func transfer(b *testing.B, f *sftpconn.File, content []byte, do func(f *sftpconn.File, ctx context.Context, piece []byte, off int64) error) {
	piece := 255 << 10
	offs := make(chan int)
	var workers sync.WaitGroup
	for range (32 << 20) / piece {
		workers.Go(func() {
			for off := range offs {
				if err := do(f, b.Context(), content[off:min(off+piece, len(content))], int64(off)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for off := 0; off < len(content); off += piece {
		offs <- off
	}
	close(offs)
	workers.Wait()
}

func readFull(f *sftpconn.File, ctx context.Context, piece []byte, off int64) error {
	for at := 0; at < len(piece); {
		n, err := f.ReadAt(ctx, piece[at:], off+int64(at))
		if err != nil {
			return err
		}
		at += n
	}
	return nil
}

// sshd is a real one on loopback, with fresh keys.
type sshd struct {
	dir, addr string
}

func startSSHD(tb testing.TB) *sshd {
	dir := tb.TempDir()
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			tb.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	for _, key := range []string{"host", "user"} {
		run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	if os.Geteuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755)
	}
	config := []string{
		fmt.Sprintf("Port %d", addr.Port), "ListenAddress 127.0.0.1", "HostKey " + dir + "/host",
		"AuthorizedKeysFile " + dir + "/user.pub", "StrictModes no", "UsePAM no", "PidFile none",
		"PermitRootLogin yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"SetEnv HOME=" + dir, "Subsystem sftp /usr/lib/openssh/sftp-server",
	}
	os.WriteFile(dir+"/config", []byte(strings.Join(config, "\n")+"\n"), 0o600)
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", dir+"/config")
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 200 {
		if conn, err := net.Dial("tcp", addr.String()); err == nil {
			conn.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return &sshd{dir, addr.String()}
}

func (s *sshd) connect(tb testing.TB, port int) *sftpconn.Conn {
	d, err := sshdial.New(context.Background(), sshdial.Options{
		Host: "127.0.0.1", Port: fmt.Sprint(port), ConfigFile: "none",
		SSHOptions: []string{"IdentityFile=" + s.dir + "/user", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	c, err := sftpconn.New(context.Background(), sftpconn.Options{Dial: d.Dial})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
