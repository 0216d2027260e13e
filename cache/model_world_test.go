package cache

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// inode is a file of the model; handles share it with the name as long as there is one.
type inode struct {
	dir bool
	b   []byte
}

// resize cuts the content or adds zeros to it.
func (f *inode) resize(size int) {
	b := slices.Clone(f.b)
	if size <= len(b) {
		b = b[:size]
	} else {
		b = append(b, make([]byte, size-len(b))...)
	}
	f.b = b
}

// put writes data into the content, if there is any.
func (f *inode) put(data []byte, off int) {
	if len(data) == 0 {
		return
	}
	f.resize(max(len(f.b), off+len(data)))
	copy(f.b[off:], data)
}

// world is the model: what there is, by path from the root.
type world map[string]*inode

func (w world) dirs() []string {
	list := []string{""}
	for p, f := range w {
		if f.dir {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return list
}

func (w world) files() []string {
	var list []string
	for p, f := range w {
		if !f.dir {
			list = append(list, p)
		}
	}
	slices.Sort(list)
	return list
}

// opened is a handle with what it refers to in the model.
type opened struct {
	h *Handle
	f *inode
}

func under(p, dir string) string {
	if dir == "" {
		return p
	}
	return dir + "/" + p
}

// rapidLog hands the cache's log to rapid, which shows it with a failure.
type rapidLog struct{ rt *rapid.T }

func differs(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// sameOnServer compares the remote directory with the model.
func (r *rig) sameOnServer(rt *rapid.T, w world) {
	got := world{}
	err := filepath.WalkDir(r.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == r.dir {
			return err
		}
		rel := strings.TrimPrefix(p, r.dir+"/")
		if d.IsDir() {
			got[rel] = &inode{dir: true}
			return nil
		}
		b, err := os.ReadFile(p)
		got[rel] = &inode{b: b}
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	for p, f := range w {
		g, there := got[p]
		if !there {
			rt.Fatalf("%q is not on the server", p)
		}
		if g.dir != f.dir || !bytes.Equal(g.b, f.b) {
			rt.Fatalf("%q on the server: directory %v, %d bytes; want %v, %d", p, g.dir, len(g.b), f.dir, len(f.b))
		}
	}
	for p := range got {
		if _, ok := w[p]; !ok {
			rt.Fatalf("%q is on the server and should not be", p)
		}
	}
}

func (l rapidLog) Write(p []byte) (int, error) {
	l.rt.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
