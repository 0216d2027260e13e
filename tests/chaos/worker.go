package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// workVariable tells a process that it is a worker, and its order.
const workVariable = "SSHMOUNT_CHAOS_WORK"

// order is what a worker is to do.
type order struct {
	Work         string
	Seed         uint64
	Mnt, Srv, In string // see Job
	Repo         string
	Settle       []string // a command after which everything must be on the server; nil: it is at once
}

// BecomeWorker does a work and ends the process where it was started for that, and does
// nothing otherwise. Who uses a Rig calls it first in main or TestMain.
//
// Works have processes of their own because a process that has files of a mount open
// cannot start another while the line is down: the child closes its copies of them before
// it runs, the kernel waits for the mount's answer to each close, and the parent for the
// child. The program that was to mend the line would wait for the line.
func BecomeWorker() {
	text := os.Getenv(workVariable)
	if text == "" {
		return
	}
	os.Unsetenv(workVariable)
	if err := obey(text); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func obey(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	name := fnv.New64a() // so that a work alone does what it does among others
	io.WriteString(name, o.Work)
	j := &Job{over: make(chan struct{}), rng: rand.New(rand.NewPCG(o.Seed, name.Sum64())), mnt: o.Mnt, srv: o.Srv, in: o.In, repo: o.Repo, settle: o.Settle}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(j.over)
	}()
	for _, w := range Works() {
		if w.Name == o.Work {
			if err := os.Mkdir(j.mnt, 0o755); err != nil {
				return err
			}
			return w.run(j)
		}
	}
	return fmt.Errorf("no work is called %q", o.Work)
}

// worker is a process at work, seen from outside.
type worker struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	over   io.Closer     // closing it tells that the fault is over
	ended  chan struct{} // closed when it has ended, after which err and at are set
	err    error
	at     time.Time
}

func start(o order) (*worker, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: exec.Command(self), ended: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), workVariable+"="+string(text), "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	w.cmd.Stdout, w.cmd.Stderr = &w.output, &w.output
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.cmd.WaitDelay = 5 * time.Second
	if w.over, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(w.ended)
		err := w.cmd.Wait()
		w.at = time.Now()
		if err != nil {
			w.err = fmt.Errorf("%s (%w)", strings.TrimSpace(w.output.String()), err)
		}
	}()
	return w, nil
}

// stop ends the worker and the programs it has started.
func (w *worker) stop() {
	syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL)
	<-w.ended
}
