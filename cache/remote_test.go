package cache

import (
	"os"
	"path/filepath"
	"time"
)

// put writes a file on the remote side, behind the cache's back.
func (r *rig) put(name, content string) {
	r.t.Helper()
	p := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
	// Older than the second in which it is looked at, as files are that nobody writes at the moment.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(p, old, old); err != nil {
		r.t.Fatal(err)
	}
}

// remote reads a file of the remote side, behind the cache's back.
func (r *rig) remote(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// putAt is put with an mtime.
func (r *rig) putAt(name, content string, mtime time.Time) {
	r.t.Helper()
	r.put(name, content)
	if err := os.Chtimes(filepath.Join(r.dir, name), mtime, mtime); err != nil {
		r.t.Fatal(err)
	}
}

// write writes a file's content anew on the remote side, behind the cache's back.
func (r *rig) write(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// touch gives a file another mtime on the remote side.
func (r *rig) touch(name string) {
	r.t.Helper()
	now := time.Now()
	if err := os.Chtimes(filepath.Join(r.dir, name), now, now); err != nil {
		r.t.Fatal(err)
	}
}

// append writes behind the end of a file on the remote side, behind the cache's back.
func (r *rig) append(name, content string) {
	r.t.Helper()
	f, err := os.OpenFile(filepath.Join(r.dir, name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		r.t.Fatal(err)
	}
}

// replace puts another file in the place of name, as `mv new name` on the server does.
func (r *rig) replace(name, content string) {
	r.t.Helper()
	r.put(".new", content)
	old := time.Now().Add(-30 * time.Minute)
	if err := os.Chtimes(filepath.Join(r.dir, ".new"), old, old); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.dir, ".new"), filepath.Join(r.dir, name)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) removeRemote(names ...string) {
	r.t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(r.dir, name)); err != nil {
			r.t.Fatal(err)
		}
	}
}
