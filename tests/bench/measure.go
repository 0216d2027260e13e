package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sshmount/tests/proc"
)

// sample is the outcome of one measure.
type sample struct {
	Profile string        `json:"profile"`
	Work    string        `json:"work"`
	Peer    string        `json:"peer"`
	Round   int           `json:"round"`
	Elapsed time.Duration `json:"elapsed_ns"`
	Bytes   int64         `json:"bytes,omitempty"` // transferred; less than the work's when cut
	CPU     time.Duration `json:"cpu_ns"`          // of all the peer's processes
	Peak    int64         `json:"peak_bytes"`      // their largest resident sizes, added up
	Drain   time.Duration `json:"drain_ns"`        // how long unmounting took afterwards
	Cut     bool          `json:"cut,omitempty"`   // given up for taking too long
	Failed  string        `json:"failed,omitempty"`
	Extra   float64       `json:"extra,omitempty"` // a second figure that some works have
}

// rate in bytes per second.
func (s sample) rate() float64 { return float64(s.Bytes) / s.Elapsed.Seconds() }

// measure is one work, done once, by one peer over one line.
type measure struct {
	ctx     context.Context // ends when the measure is cut
	rig     *rig
	profile *profile
	peer    *peer
	work    *work
	scratch string // local, removed afterwards
	mnt     string // where the peer mounts
	out     string // name of the folder to write into, below the server's directory
	pid     int    // of the mounted peer
	sample  sample

	progress atomic.Int64 // bytes so far
	mu       sync.Mutex   // guards began; a leaf
	began    time.Time    // of what is timed; zero before
}

var errCut = errors.New("cut: it took too long")

// run does everything: prepare, mount, work, unmount, check.
func (r *rig) run(ctx context.Context, p *profile, w *work, pe *peer, round int, timeout time.Duration) sample {
	m := &measure{rig: r, profile: p, peer: pe, work: w}
	m.sample = sample{Profile: p.name, Work: w.name, Peer: pe.name, Round: round}
	r.count++
	m.scratch = filepath.Join(r.dir, fmt.Sprintf("measure%d", r.count))
	m.mnt = filepath.Join(m.scratch, "mnt")
	m.out = fmt.Sprintf("out%d", r.count)
	err := func() error {
		if err := os.MkdirAll(m.mnt, 0o755); err != nil {
			return err
		}
		if err := os.Mkdir(m.onServer(), 0o755); err != nil {
			return err
		}
		if w.prepare != nil {
			if err := w.prepare(m); err != nil {
				return fmt.Errorf("preparing: %w", err)
			}
		}
		if r.dropCaches {
			if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
				return err
			}
		}
		cut, cancel := context.WithTimeoutCause(ctx, timeout, errCut)
		defer cancel()
		m.ctx = cut
		if err := m.doWork(ctx); err != nil {
			return err
		}
		if w.check != nil {
			if err := w.check(m); err != nil {
				return fmt.Errorf("wrong result: %w", err)
			}
		}
		return nil
	}()
	if err != nil && m.ctx != nil && errors.Is(context.Cause(m.ctx), errCut) {
		m.sample.Cut, err = true, nil
		m.mu.Lock()
		if m.sample.Elapsed == 0 && !m.began.IsZero() {
			m.sample.Elapsed = time.Since(m.began)
		}
		m.mu.Unlock()
		if m.sample.Elapsed == 0 {
			m.sample.Elapsed = timeout
		}
		m.sample.Bytes = m.progress.Load()
	}
	if err != nil {
		m.sample.Failed = err.Error()
	}
	os.RemoveAll(m.scratch)
	os.RemoveAll(m.onServer())
	return m.sample
}

// doWork mounts where the peer is one that mounts, and leaves nothing mounted or running behind.
func (m *measure) doWork(ctx context.Context) error {
	if m.peer.mount == nil || m.work.unmounted {
		return m.work.run[kind(m.peer)](m)
	}
	unmount, kill, err := m.mountForeground()
	if err != nil {
		return err
	}
	// Work on a mount may hang in the kernel, where only the end of the mount frees it.
	worked := make(chan error, 1)
	go func() {
		// sshfs mounts before it has logged in: it is ready when it answers.
		if _, err := os.Stat(m.mnt); err != nil {
			worked <- err
			return
		}
		worked <- m.work.run[kind(m.peer)](m)
	}()
	select {
	case err = <-worked:
	case <-m.ctx.Done():
		select {
		case err = <-worked:
		case <-time.After(500 * time.Millisecond):
			kill()
			select {
			case err = <-worked:
			case <-time.After(20 * time.Second):
			}
		}
		if err == nil {
			err = context.Cause(m.ctx)
		}
	}
	if err != nil {
		kill()
		return err
	}
	if m.peer.drains && m.work.check != nil {
		// Wait until everything has arrived; the check itself comes after this.
		deadline := time.Now().Add(30 * time.Second)
		for m.work.check(m) != nil && time.Now().Before(deadline) && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
	return unmount()
}

// mountForeground returns when the mount is there. unmount waits for the end of the peer,
// kill ends it at once.
func (m *measure) mountForeground() (unmount func() error, kill func(), err error) {
	args := m.peer.mount(m, false)
	var output bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+m.scratch) // where sshmount's control socket is found
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	m.pid = cmd.Process.Pid
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	kill = func() {
		select {
		case <-ended:
			return
		default:
		}
		family := proc.Family(m.pid)
		for _, pid := range family {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		exec.Command("fusermount3", "-uz", m.mnt).Run()
		<-ended
	}
	deadline := time.Now().Add(30 * time.Second)
	for !mounted(m.mnt) {
		select {
		case <-ended:
			return nil, nil, fmt.Errorf("%s did not mount: %s", m.peer.name, lastLine(output.String()))
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) || m.ctx.Err() != nil {
			kill()
			return nil, nil, fmt.Errorf("%s did not mount in time: %s", m.peer.name, lastLine(output.String()))
		}
	}
	unmount = func() error {
		begin := time.Now()
		defer func() { m.sample.Drain = time.Since(begin) }()
		for {
			out, err := exec.Command("fusermount3", "-u", m.mnt).CombinedOutput()
			if err == nil {
				break
			}
			if time.Since(begin) > 5*time.Second {
				kill()
				return fmt.Errorf("unmounting: %w: %s", err, out)
			}
			time.Sleep(50 * time.Millisecond)
		}
		select {
		case <-ended:
			return nil
		case <-time.After(2 * time.Minute):
			kill()
			return fmt.Errorf("%s did not end within two minutes of being unmounted", m.peer.name)
		}
	}
	return unmount, kill, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// mounted looks into the kernel's table, which cannot hang as a look at the mount could.
func mounted(dir string) bool {
	data, err := os.ReadFile("/proc/self/mountinfo")
	return err == nil && strings.Contains(string(data), " "+dir+" ")
}

// time runs what counts, and accounts for it.
func (m *measure) time(bytes int64, f func() error) error {
	var before time.Duration
	if m.pid != 0 {
		before = proc.CPU(proc.Family(m.pid))
	}
	m.progress.Store(0)
	stop := func() int64 { return 0 }
	if m.peer.mount == nil {
		stop = watchPeak()
	}
	m.mu.Lock()
	m.began = time.Now()
	m.mu.Unlock()
	err := f()
	elapsed := time.Since(m.began)
	peak := stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil && err == nil {
		err = context.Cause(m.ctx)
	}
	m.sample.Elapsed, m.sample.Bytes, m.sample.Peak = elapsed, bytes, peak
	if m.pid != 0 {
		family := proc.Family(m.pid)
		m.sample.CPU = proc.CPU(family) - before
		m.sample.Peak = proc.Peak(family)
	}
	return err
}

// command is a program that dies with the measure.
func (m *measure) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(m.ctx, name, args...)
	cmd.Env = gitEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// exec runs a command and gives its standard output.
func (m *measure) exec(name string, args ...string) ([]byte, error) {
	return output(m.command(name, args...))
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lastLine(stderr.String()))
	}
	return out, err
}

// account adds the CPU time of programs that ran and ended, with that of their children.
func (m *measure) account(cmds ...*exec.Cmd) {
	for _, cmd := range cmds {
		if st := cmd.ProcessState; st != nil {
			m.sample.CPU += st.UserTime() + st.SystemTime()
		}
	}
}

// watchPeak follows the memory of the transferring programs that run at present, all of
// them below this process, until it is told to stop. (What wait4 reports as the largest
// size of a child is at least this process's own, which the child was until its exec.)
func watchPeak() (stop func() (bytes int64)) {
	end, result := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var pids []int
			for _, pid := range proc.Descendants(os.Getpid()) {
				if name := proc.Name(pid); name == "ssh" || name == "sftp" {
					pids = append(pids, pid)
				}
			}
			peak = max(peak, proc.Peak(pids))
			select {
			case <-end:
				result <- peak
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 { close(end); return <-result }
}

func (m *measure) onMount(path ...string) string {
	return filepath.Join(append([]string{m.mnt}, path...)...)
}

// onServer is a path below this measure's own folder, on the server's disk.
func (m *measure) onServer(path ...string) string {
	return filepath.Join(append([]string{m.rig.data.server, m.out}, path...)...)
}

// kind chooses the way a work is done.
func kind(p *peer) string {
	if p.mount != nil {
		return "mount"
	}
	return p.name
}

// gone says that nothing is there any more.
func gone(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there", filepath.Base(path))
	}
	return nil
}
