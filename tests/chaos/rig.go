package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"sshmount/tests/line"
	"sshmount/tests/proc"
	"sshmount/tests/sshd"
)

const maxStartups = 6 // logins at once that the server takes

// Config of a rig. The zero value of a field means its default.
type Config struct {
	Dir       string   // everything is made below it
	Command   []string // the program that mounts: called with remote, mount point and options
	Options   []string // more of its arguments
	Line      line.Config
	Namespace bool // mount in a network namespace
	Async     bool // it is sshmount, and promises no more than its -o async
}

// Rig is a server, a line and a mount. One goroutine at a time may use it.
type Rig struct {
	cfg    Config
	ctx    context.Context // ends when the rig must stop waiting
	server *sshd.Server
	line   *line.Line
	ns     *netns // nil unless Config.Namespace
	data   string // what the server serves
	mnt    string
	mounts int // so far
	rounds int // so far
	inputs int // how many sets of prepared files of this mount have been used

	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has ended
	output *os.File
}

// NewRig starts server and line, and mounts.
func NewRig(ctx context.Context, cfg Config) (_ *Rig, err error) {
	r := &Rig{cfg: cfg, ctx: ctx, data: filepath.Join(cfg.Dir, "data")}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	sshdDir := filepath.Join(cfg.Dir, "sshd")
	for _, dir := range []string{sshdDir, r.data, filepath.Join(cfg.Dir, "run"), filepath.Join(cfg.Dir, "state")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	r.server, err = sshd.Start(sshd.Config{Dir: sshdDir, Extra: fmt.Sprintf("MaxStartups %d\nLoginGraceTime 20", maxStartups)})
	if err != nil {
		return nil, err
	}
	if cfg.Line.Delay == 0 {
		cfg.Line.Delay, cfg.Line.BytesPerSecond = 5*time.Millisecond, 25e6
	}
	if cfg.Namespace {
		if r.ns, err = newNetns(cfg.Dir); err != nil {
			return nil, err
		}
		cfg.Line.Listen = net.JoinHostPort(r.ns.host, "0")
	}
	r.line, err = line.New(net.JoinHostPort(r.server.Listen, fmt.Sprint(r.server.Port)), cfg.Line)
	if err != nil {
		return nil, err
	}
	if err := r.server.KnownHosts(r.line.Addr()); err != nil {
		return nil, err
	}
	return r, r.mount()
}

// mount makes fresh input files and mounts; what the mount before it knew is of no use.
func (r *Rig) mount() error {
	if err := os.RemoveAll(filepath.Join(r.data, "in")); err != nil {
		return err
	}
	if err := r.makeInputs(); err != nil {
		return err
	}
	r.inputs = 0
	r.mounts++
	r.mnt = filepath.Join(r.cfg.Dir, fmt.Sprintf("mnt%d", r.mounts))
	if err := os.Mkdir(r.mnt, 0o700); err != nil {
		return err
	}
	config, err := r.server.ClientConfig()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(r.line.Addr())
	if err != nil {
		return err
	}
	args := append([]string{}, r.cfg.Command...)
	args = append(args, r.server.User+"@"+host+":"+r.data, r.mnt, "-f", "-F", config, "-p", port,
		"-o", "ServerAliveInterval=1,ServerAliveCountMax=3")
	if r.cfg.Async {
		args = append(args, "-o", "async")
	}
	args = append(args, r.cfg.Options...)
	if r.ns != nil {
		args = r.ns.command(args)
	}
	if r.output, err = os.Create(filepath.Join(r.cfg.Dir, fmt.Sprintf("mount%d.log", r.mounts))); err != nil {
		return err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = r.output, r.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+r.runDir(),
		"XDG_STATE_HOME="+filepath.Join(r.cfg.Dir, "state"), "GORACE=halt_on_error=0 exitcode=66")
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	r.cmd, r.ended = cmd, ended
	for deadline := time.Now().Add(time.Minute); !proc.Mounted(r.mnt); {
		select {
		case <-ended:
			r.cmd = nil
			return fmt.Errorf("could not mount: %s", r.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			r.kill()
			return fmt.Errorf("not mounted after a minute: %s", r.tail())
		}
	}
	// Ready is when it answers.
	return r.bounded(time.Minute, func() error { _, err := os.Stat(r.mnt); return err })
}

// runDir is where the mount keeps its control socket.
func (r *Rig) runDir() string { return filepath.Join(r.cfg.Dir, "run") }

// bounded does something on the mount, and breaks the mount if it hangs.
func (r *Rig) bounded(limit time.Duration, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		report := r.diagnose()
		r.kill()
		<-done
		return fmt.Errorf("hung for %v\n%s", limit, report)
	}
}

// kill ends the mount without any courtesy, which also frees whoever hangs in it.
func (r *Rig) kill() {
	if r.cmd == nil {
		return
	}
	for _, pid := range proc.Family(r.cmd.Process.Pid) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	exec.Command("fusermount3", "-uz", r.mnt).Run()
	<-r.ended
	r.cmd = nil
}

// unmount ends the mount as a user would, and says what is wrong with how it ended.
func (r *Rig) unmount() error {
	if r.cmd == nil {
		return nil
	}
	var out []byte
	var err error
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if out, err = exec.Command("fusermount3", "-u", r.mnt).CombinedOutput(); err == nil {
			break
		}
		if time.Now().After(deadline) {
			r.kill()
			return fmt.Errorf("unmounting: %w: %s", err, out)
		}
	}
	select {
	case <-r.ended:
	case <-time.After(time.Minute):
		held := heldElsewhere(r.mnt)
		report := r.diagnose()
		r.kill()
		if held {
			return nil
		}
		return fmt.Errorf("did not end within a minute of being unmounted\n%s", report)
	}
	state := r.cmd.ProcessState
	r.cmd = nil
	if !state.Success() {
		return fmt.Errorf("the mount ended with %v: %s", state, r.tail())
	}
	return r.blemish()
}

// heldElsewhere says whether another process still has the mount in a mount namespace of its
// own, made while it was mounted here. It then lives on, whatever is unmounted here.
func heldElsewhere(dir string) bool {
	tables, _ := filepath.Glob("/proc/[0-9]*/mountinfo")
	for _, t := range tables {
		if data, err := os.ReadFile(t); err == nil && bytes.Contains(data, []byte(" "+dir+" ")) {
			return true
		}
	}
	return false
}

// Close unmounts, and ends server and line. It is safe to call on a rig half made.
func (r *Rig) Close() error {
	err := r.unmount()
	if r.line != nil {
		err = errors.Join(err, r.line.Close())
	}
	if r.server != nil {
		r.server.Stop()
	}
	if r.ns != nil {
		r.ns.close()
	}
	if r.output != nil {
		r.output.Close()
	}
	return err
}

func (r *Rig) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.ctx.Done():
	}
}
