package chaos

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
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
	over chan struct{} // closed when the fault is over
	rng  *rand.Rand
	mnt  string // a folder of its own on the mount
	srv  string // the same folder on the server's disk
	in   string // files that were on the server before it was mounted, for this round
	repo string // of git, on the local disk

	settle []string // see order
}

// settled returns when what was done must be on the server: after close, rename and so on
// that is at once, unless the mount promises less.
func (j *Job) settled() error {
	if j.settle == nil {
		return nil
	}
	_, err := j.program(nil, j.settle[0], j.settle[1:]...)
	return err
}

// until repeats f until the fault is over, and then once more, to see all work again.
func (j *Job) until(f func(i int) error) error { return j.repeat(f, true) }

// during repeats f until one that the fault met has ended: for what takes long.
func (j *Job) during(f func(i int) error) error { return j.repeat(f, false) }

func (j *Job) repeat(f func(i int) error, afterwards bool) error {
	for i := 0; ; i++ {
		over := j.faultOver()
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

// program runs one to its end.
func (j *Job) program(stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %v: %w: %s", name, args, err, bytes.TrimSpace(out))
	}
	return out, err
}

// compare says where the server's folder differs from the model: path to content, nil for a directory.
func (j *Job) compare(root string, model map[string][]byte) error {
	if err := j.settled(); err != nil {
		return err
	}
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
