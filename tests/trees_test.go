package tests

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pseudoRandom makes bytes that no two seeds share and that don't compress.
func pseudoRandom(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), 1})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// makeTree makes a tree as a source distribution has it: directories three deep, small files, some bigger, empty ones,
// programs, links of both kinds, odd names, times long ago. It has a few more than files entries.
func makeTree(t *testing.T, root string, files int) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 11))
	long := time.Date(2009, 11, 10, 23, 0, 0, 0, time.UTC)
	must(t, os.MkdirAll(root, 0o755))
	var dirs []string
	for i := range 1 + files/12 {
		d := filepath.Join(root, fmt.Sprintf("dir%d", i%5), fmt.Sprintf("sub %d", i%3), fmt.Sprintf("d%d", i))
		must(t, os.MkdirAll(d, 0o755))
		dirs = append(dirs, d)
	}
	for i := range files {
		size := r.IntN(9000)
		switch i % 29 {
		case 3:
			size = 0
		case 17:
			size = 300_000 + r.IntN(400_000)
		}
		f := filepath.Join(dirs[i%len(dirs)], fmt.Sprintf("file-%03d.txt", i))
		mode := os.FileMode(0o644)
		if i%10 == 0 {
			mode = 0o755
		}
		must(t, os.WriteFile(f, pseudoRandom(uint64(i), size), mode))
		must(t, os.Chmod(f, mode))
		must(t, os.Chtimes(f, long, long.Add(time.Duration(i)*time.Hour)))
	}
	must(t, os.WriteFile(filepath.Join(root, "with\nnewline and ümlaut"), []byte("odd"), 0o600))
	must(t, os.Symlink("file-000.txt", filepath.Join(dirs[0], "to-file")))
	must(t, os.Symlink("../..", filepath.Join(dirs[0], "to-dir")))
	must(t, os.Symlink("nowhere", filepath.Join(root, "dangling")))
	must(t, os.Link(filepath.Join(dirs[0], "file-000.txt"), filepath.Join(root, "hard link")))
	// The times of directories last: what is made in them changes them.
	for _, d := range dirs {
		must(t, os.Chtimes(d, long, long))
	}
}

// whatOf says what of the entries of a tree is compared beyond kind, size, content and link targets.
type whatOf struct {
	modes, times bool
	skip         string // a name in the root that is left out
}

// describe lists every entry of a tree, a line each.
func describe(t *testing.T, root string, w whatOf) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if rel == "." {
			return nil
		}
		if w.skip != "" && rel == w.skip {
			return filepath.SkipDir
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return fmt.Errorf("lstat %s: %w", path, err)
		}
		line := fmt.Sprintf("%q type=%o", rel, st.Mode&syscall.S_IFMT)
		if w.modes && st.Mode&syscall.S_IFMT != syscall.S_IFLNK {
			line += fmt.Sprintf(" mode=%o", st.Mode&0o7777)
		}
		if w.times && st.Mode&syscall.S_IFMT != syscall.S_IFLNK {
			line += fmt.Sprintf(" mtime=%d", st.Mtim.Sec)
		}
		switch st.Mode & syscall.S_IFMT {
		case syscall.S_IFREG:
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			h := sha256.New()
			n, err := io.Copy(h, f)
			f.Close()
			if err != nil {
				return fmt.Errorf("read %s: %w", path, err)
			}
			if n != st.Size {
				return fmt.Errorf("%s: stat says %d bytes, %d could be read", path, st.Size, n)
			}
			line += fmt.Sprintf(" size=%d sha256=%x", st.Size, h.Sum(nil)[:8])
		case syscall.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" target=%q", target)
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(lines)
	return lines
}

// sameTrees fails unless both directories hold the same.
func sameTrees(t *testing.T, got, want string, w whatOf) {
	t.Helper()
	g, wa := describe(t, got, w), describe(t, want, w)
	if strings.Join(g, "\n") == strings.Join(wa, "\n") {
		return
	}
	in := func(list []string) map[string]bool {
		m := map[string]bool{}
		for _, l := range list {
			m[l] = true
		}
		return m
	}
	gm, wm := in(g), in(wa)
	var diff []string
	for _, l := range g {
		if !wm[l] {
			diff = append(diff, "+ "+l)
		}
	}
	for _, l := range wa {
		if !gm[l] {
			diff = append(diff, "- "+l)
		}
	}
	sort.Slice(diff, func(i, j int) bool { return diff[i][2:] < diff[j][2:] })
	if len(diff) > 20 {
		diff = append(diff[:20], "…")
	}
	t.Fatalf("%s (+) is not like %s (-):\n%s", got, want, strings.Join(diff, "\n"))
}
