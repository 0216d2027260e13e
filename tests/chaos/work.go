package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"syscall"
	"time"
)

// Work is what a program does on a mount.
type Work struct {
	Name string
	run  func(j *Job) error
}

// Works are all that are known.
func Works() []Work {
	return []Work{
		{"seqread", sequentialRead},
		{"seqwrite", sequentialWrite},
		{"smallfiles", smallFiles},
		{"random", randomAccess},
		{"walk", walk},
		{"renames", renames},
		{"clone", gitClone},
		{"database", database},
	}
}

// Job is one run of a work.
type Job struct {
	ctx    context.Context // ends when the work has taken too long
	over   chan struct{}   // closed when the fault is over
	rng    *rand.Rand
	mnt    string // a folder of its own on the mount
	srv    string // the same folder on the server's disk
	in     string // files that were on the server before it was mounted, for this round
	inputs *Rig
}

// until repeats f until the fault is over, and then once more, to see all work again.
func (j *Job) until(f func(i int) error) error { return j.repeat(f, true) }

// during repeats f until one that the fault met has ended: for what takes long.
func (j *Job) during(f func(i int) error) error { return j.repeat(f, false) }

func (j *Job) repeat(f func(i int) error, afterwards bool) error {
	for i := 0; ; i++ {
		over := j.faultOver()
		if err := j.ctx.Err(); err != nil {
			return err
		}
		if err := f(i); err != nil {
			return fmt.Errorf("in repetition %d: %w", i, err)
		}
		if over || !afterwards && j.faultOver() {
			return nil
		}
	}
}

func (j *Job) faultOver() bool {
	select {
	case <-j.over:
		return true
	default:
		return false
	}
}

// bytes are random, of the seed.
func (j *Job) bytes(n int) []byte {
	b := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		v := j.rng.Uint64()
		for k := range 8 {
			b[i+k] = byte(v >> (8 * k))
		}
	}
	return b
}

// program runs to its end, or to that of the job.
func (j *Job) program(stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(j.ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %v: %w: %s", name, args, err, bytes.TrimSpace(out))
	}
	return out, err
}

// compare says where the server's folder differs from the model: path to content, nil for a directory.
func compare(root string, model map[string][]byte) error {
	left := make(map[string]bool)
	for name := range model {
		left[name] = true
	}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		want, ok := model[name]
		if !ok {
			return fmt.Errorf("%s is on the server and should not be", name)
		}
		delete(left, name)
		if (want == nil) != e.IsDir() {
			return fmt.Errorf("%s is of another type on the server", name)
		}
		if want == nil {
			return nil
		}
		got, err := os.ReadFile(path)
		if err == nil {
			err = same(name, got, want)
		}
		return err
	})
	if err == nil && len(left) > 0 {
		var names []string
		for name := range left {
			names = append(names, name)
		}
		sort.Strings(names)
		err = fmt.Errorf("%d entries are not on the server: %s…", len(names), names[0])
	}
	return err
}

// same says where two contents begin to differ.
func same(name string, got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	if at == len(got) || at == len(want) {
		return fmt.Errorf("%s has %d bytes instead of %d, those there are right", name, len(got), len(want))
	}
	wrong := 0
	for i := at; i < min(len(got), len(want)); i++ {
		if got[i] != want[i] {
			wrong++
		}
	}
	return fmt.Errorf("%s: %d wrong bytes, the first at %d (%#x, not %#x); %d bytes instead of %d", name, wrong, at, got[at], want[at], len(got), len(want))
}
