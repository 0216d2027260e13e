package chaos

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

const (
	inputSets = 40 // rounds that one mount can have
	bigNames  = 4  // in each set; all the same file
	treeNames = 3
	bigSize   = 8 << 20
)

var bigContent = sync.OnceValue(func() []byte {
	b := make([]byte, bigSize)
	rand.NewChaCha8([32]byte{9}).Read(b)
	return b
})

// inputTree is what a walk finds: sizes by path.
var inputTree = sync.OnceValue(func() map[string]int64 {
	t := make(map[string]int64)
	for d := range 10 {
		for f := range 8 {
			t[fmt.Sprintf("dir%d/sub%d/file%d", d, f%2, f)] = int64(100*d + f)
		}
	}
	return t
})

var repoFiles = sync.OnceValue(func() map[string][]byte {
	files := make(map[string][]byte)
	r := rand.New(rand.NewPCG(3, 3))
	for i := range 16 {
		var b bytes.Buffer
		for range 20 + r.IntN(100) {
			fmt.Fprintf(&b, "%x\n", r.Uint64())
		}
		files[fmt.Sprintf("dir%d/file%d.txt", i%4, i)] = b.Bytes()
	}
	return files
})

func (r *Rig) repo() string { return filepath.Join(r.cfg.Dir, "repo") }

// makeInputs puts the files that works read onto the server's disk, before anything is
// mounted: a mount that has listed a directory need not see for a while what others add.
// Each round has names that were never looked at, for files that are all the same.
func (r *Rig) makeInputs() error {
	store := filepath.Join(r.cfg.Dir, "store")
	if _, err := os.Stat(store); err != nil {
		if err := os.Mkdir(store, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(store, "big"), bigContent(), 0o644); err != nil {
			return err
		}
		for name, size := range inputTree() {
			if err := writeFile(filepath.Join(store, "tree", name), bigContent()[:size]); err != nil {
				return err
			}
		}
		for name, content := range repoFiles() {
			if err := writeFile(filepath.Join(r.repo(), name), content); err != nil {
				return err
			}
		}
		for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."},
			{"-c", "user.name=chaos", "-c", "user.email=chaos@localhost", "commit", "-q", "-m", "all"}} {
			cmd := exec.Command("git", append([]string{"-C", r.repo()}, args...)...)
			cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("git %v: %w: %s", args, err, out)
			}
		}
	}
	for i := range inputSets {
		dir := filepath.Join(r.data, "in", fmt.Sprint(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for k := range bigNames {
			if err := os.Link(filepath.Join(store, "big"), filepath.Join(dir, fmt.Sprint("big", k))); err != nil {
				return err
			}
		}
		for k := range treeNames {
			if out, err := exec.Command("cp", "-al", filepath.Join(store, "tree"), filepath.Join(dir, fmt.Sprint("tree", k))).CombinedOutput(); err != nil {
				return fmt.Errorf("cp: %w: %s", err, out)
			}
		}
	}
	return nil
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
