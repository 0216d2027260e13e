package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

const (
	mib = 1 << 20

	bulkSize  = 256 * mib
	listNames = 5000
	needle    = "a needle in the hay"
)

// tree maps the slash-separated path of each entry to its content; nil is a directory.
type tree map[string][]byte

// data is what the work is done with: in memory to compare with, on the server's disk to
// be read, and on a local disk to be written.
type data struct {
	bulk   []byte // random; files of the server hold it or its beginning
	big    tree   // 441 entries
	untar  tree   // 139 entries
	small  tree   // 88 files in one directory
	source tree   // 400 files, for git
	needle int    // lines of big that hold the needle

	server string // the server's directory
	local  string
}

// old is a time that no index of git takes for suspiciously fresh.
var old = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

func makeData(server, local string) (*data, error) {
	d := &data{server: server, local: local, bulk: make([]byte, bulkSize)}
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(d.bulk)
	r := rand.New(rng)
	d.big = makeTree(r, 40, 400)
	d.untar = makeTree(r, 18, 120)
	d.small = makeTree(r, 0, 88)
	d.source = makeTree(r, 40, 400)
	for _, content := range d.big {
		d.needle += bytes.Count(content, []byte(needle))
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{"bulk", d.bulk}, {"bulk16", d.bulk[:16*mib]},
		{"par0", d.bulk[:64*mib]}, {"par1", d.bulk[64*mib : 128*mib]}, {"par2", d.bulk[128*mib : 192*mib]}, {"par3", d.bulk[192*mib:]},
	} {
		name := filepath.Join(server, f.name)
		if err := os.WriteFile(name, f.content, 0o644); err != nil {
			return nil, err
		}
		// What a file that was made a moment ago costs more is not what is measured: SFTP's times are too coarse to tell it
		// from one that takes its place.
		if err := os.Chtimes(name, old, old); err != nil {
			return nil, err
		}
	}
	many := filepath.Join(server, "many")
	if err := os.Mkdir(many, 0o755); err != nil {
		return nil, err
	}
	for i := range listNames {
		if err := os.WriteFile(filepath.Join(many, listName(i)), d.bulk[:i%500], 0o644); err != nil {
			return nil, err
		}
	}
	for _, t := range []struct {
		dir string
		t   tree
	}{
		{filepath.Join(server, "tree"), d.big},
		{filepath.Join(local, "small"), d.small},
		{filepath.Join(local, "source"), d.source},
		{filepath.Join(server, "repo"), d.source},
	} {
		if err := t.t.write(t.dir); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(local, "untar.tar"), d.untar.tar("untar"), 0o644); err != nil {
		return nil, err
	}
	for _, dir := range []string{filepath.Join(server, "repo"), filepath.Join(local, "source")} {
		if err := makeRepo(dir); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func listName(i int) string { return fmt.Sprintf("file-%05d.txt", i) }

// makeTree has the given number of directories below its root, some within others, and of
// files of source code's sizes.
func makeTree(r *rand.Rand, dirs, files int) tree {
	t := tree{".": nil}
	names := []string{""}
	for i := range dirs {
		parent := ""
		if i%4 == 3 {
			parent = names[1+r.IntN(len(names)-1)]
		}
		name := parent + fmt.Sprintf("dir%02d/", i)
		names = append(names, name)
		t[strings.TrimSuffix(name, "/")] = nil
	}
	for i := range files {
		var b strings.Builder
		for size := 500 + r.IntN(16000); b.Len() < size; {
			fmt.Fprintf(&b, "%x %x %x\n", r.Uint64(), r.Uint64(), r.Uint64())
		}
		if i%10 == 0 {
			b.WriteString(needle + "\n")
		}
		t[names[i%len(names)]+fmt.Sprintf("file%03d.txt", i)] = []byte(b.String())
	}
	return t
}

func (t tree) paths() []string {
	var p []string
	for name := range t {
		p = append(p, name)
	}
	sort.Strings(p)
	return p
}

func (t tree) write(root string) error {
	for _, name := range t.paths() {
		path := filepath.Join(root, name)
		if t[name] == nil {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(path, t[name], 0o644); err != nil {
			return err
		}
		if err := os.Chtimes(path, old, old); err != nil {
			return err
		}
	}
	return nil
}

func (t tree) tar(top string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range t.paths() {
		h := &tar.Header{Name: filepath.Join(top, name), Mode: 0o644, ModTime: old, Size: int64(len(t[name])), Typeflag: tar.TypeReg}
		if t[name] == nil {
			h.Name, h.Mode, h.Typeflag = h.Name+"/", 0o755, tar.TypeDir
		}
		w.WriteHeader(h)
		w.Write(t[name])
	}
	w.Close()
	return b.Bytes()
}

// compare says where a directory differs from the tree. Names in skip, at its top, are left out.
func (t tree) compare(root string, skip ...string) error {
	seen := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, s := range skip {
			if name == s {
				return filepath.SkipDir
			}
		}
		want, ok := t[name]
		if !ok {
			return fmt.Errorf("%s should not be there", name)
		}
		seen++
		if (want == nil) != e.IsDir() {
			return fmt.Errorf("%s is of the wrong type", name)
		}
		if want == nil {
			return nil
		}
		got, err := os.ReadFile(path)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("%s holds other bytes than were written", name)
		}
		return err
	})
	if err == nil && seen != len(t) {
		err = fmt.Errorf("%d entries, not %d", seen, len(t))
	}
	return err
}

// gitEnv keeps the user's configuration out.
func gitEnv() []string {
	return append(os.Environ(), "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@localhost", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@localhost")
}

// makeRepo commits what is in a directory. Its index remembers size and time alone, since
// inode numbers and owners look different from the server's side and through each mount.
func makeRepo(dir string) error {
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"config", "core.checkStat", "minimal"}, {"config", "core.trustctime", "false"},
		{"config", "gc.auto", "0"}, {"add", "."}, {"commit", "-q", "-m", "all"}, {"gc", "-q"}, {"status"},
	} {
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = gitEnv()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}
