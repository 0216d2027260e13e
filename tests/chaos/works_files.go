package chaos

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
)

func sequentialRead(j *Job) error {
	return j.until(func(i int) error {
		f, err := os.Open(filepath.Join(j.in, fmt.Sprint("big", i%bigNames)))
		if err != nil {
			return err
		}
		defer f.Close()
		got, err := io.ReadAll(f)
		return errors.Join(err, same("what was read", got, bigContent()))
	})
}

func sequentialWrite(j *Job) error {
	return j.until(func(i int) error {
		content := j.bytes(6 << 20)
		name := fmt.Sprint("written", i)
		f, err := os.Create(filepath.Join(j.mnt, name))
		if err != nil {
			return err
		}
		for at := 0; at < len(content) && err == nil; at += 64 << 10 {
			_, err = f.Write(content[at:min(len(content), at+64<<10)])
		}
		if i%2 == 0 && err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err := j.settled(); err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(j.srv, name))
		return errors.Join(err, same(name, got, content))
	})
}

func smallFiles(j *Job) error {
	return j.until(func(i int) error {
		model := make(map[string][]byte)
		dir := fmt.Sprint("set", i)
		if err := os.Mkdir(filepath.Join(j.mnt, dir), 0o755); err != nil {
			return err
		}
		for k := range 40 {
			name := fmt.Sprintf("file%d", k)
			model[name] = j.bytes(8 * j.rng.IntN(2000))
			if err := os.WriteFile(filepath.Join(j.mnt, dir, name), model[name], 0o644); err != nil {
				return err
			}
		}
		for name, want := range model {
			got, err := os.ReadFile(filepath.Join(j.mnt, dir, name))
			if err := errors.Join(err, same(name+" on the mount", got, want)); err != nil {
				return err
			}
		}
		return j.compare(filepath.Join(j.srv, dir), model)
	})
}

// randomAccess has two handles of each of two files, and compares every read with the
// model as it goes.
func randomAccess(j *Job) error {
	const most = 1 << 20
	type file struct {
		name    string
		model   []byte
		handles [2]*os.File
	}
	var files [2]*file
	defer func() {
		for _, f := range files {
			if f == nil {
				continue
			}
			for _, h := range f.handles {
				if h != nil {
					h.Close()
				}
			}
		}
	}()
	for i := range files {
		f := &file{name: fmt.Sprint("random", i)}
		files[i] = f
		for k := range f.handles {
			var err error
			if f.handles[k], err = os.OpenFile(filepath.Join(j.mnt, f.name), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
				return err
			}
		}
	}
	step := func() error {
		f := files[j.rng.IntN(len(files))]
		h := f.handles[j.rng.IntN(len(f.handles))]
		at := j.rng.IntN(most)
		n := 1 + j.rng.IntN(100<<10)
		switch j.rng.IntN(20) {
		case 0:
			if err := h.Truncate(int64(at)); err != nil {
				return fmt.Errorf("truncate: %w", err)
			}
			f.model = append(f.model, make([]byte, max(0, at-len(f.model)))...)[:at]
		case 1:
			if err := h.Sync(); err != nil {
				return fmt.Errorf("fsync: %w", err)
			}
		case 2, 3, 4, 5, 6, 7, 8:
			b := j.bytes(n &^ 7)
			if _, err := h.WriteAt(b, int64(at)); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			f.model = append(f.model, make([]byte, max(0, at+len(b)-len(f.model)))...)
			copy(f.model[at:], b)
		default:
			b := make([]byte, n)
			got, err := h.ReadAt(b, int64(at))
			if err != nil && err != io.EOF {
				return fmt.Errorf("read: %w", err)
			}
			var want []byte
			if at < len(f.model) {
				want = f.model[at:min(len(f.model), at+n)]
			}
			if err := same(fmt.Sprintf("a read of %d bytes of %s at %d", n, f.name, at), b[:got], want); err != nil {
				return err
			}
		}
		return nil
	}
	if err := j.until(func(i int) error {
		for range 30 {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, f := range files {
		for k, h := range f.handles {
			f.handles[k] = nil
			if err := h.Close(); err != nil {
				return fmt.Errorf("close: %w", err)
			}
		}
		if err := j.settled(); err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(j.srv, f.name))
		if err := errors.Join(err, same(f.name+" on the server", got, f.model)); err != nil {
			return err
		}
	}
	return nil
}

// walk looks at trees that the mount has not seen, and once more at what it may know.
func walk(j *Job) error {
	return j.until(func(i int) error {
		root := filepath.Join(j.in, fmt.Sprint("tree", i%treeNames))
		got := make(map[string]int64)
		err := filepath.Walk(root, func(path string, st os.FileInfo, err error) error {
			if err != nil || st.IsDir() {
				return err
			}
			name, err := filepath.Rel(root, path)
			got[name] = st.Size()
			return err
		})
		if err != nil {
			return err
		}
		want := inputTree()
		if len(got) != len(want) {
			return fmt.Errorf("a walk found %d files of %d", len(got), len(want))
		}
		for name, size := range want {
			if g, ok := got[name]; !ok || g != size {
				return fmt.Errorf("a walk found %s with %d bytes, not %d", name, g, size)
			}
		}
		return nil
	})
}

// renames makes, renames, overwrites by renaming, and removes files and directories.
func renames(j *Job) error {
	model := make(map[string][]byte) // below j.mnt
	var dirs = []string{""}
	files := func() []string {
		var names []string
		for name, content := range model {
			if content != nil {
				names = append(names, name)
			}
		}
		sort.Strings(names)
		return names
	}
	next := 0
	fresh := func() string {
		next++
		return filepath.Join(dirs[j.rng.IntN(len(dirs))], fmt.Sprint("name", next))
	}
	step := func() error {
		all := files()
		op := j.rng.IntN(10)
		if len(all) < 3 {
			op = 0
		}
		switch op {
		case 0, 1, 2:
			name, content := fresh(), append([]byte("x"), j.bytes(8*j.rng.IntN(200))...)
			model[name] = content
			return os.WriteFile(filepath.Join(j.mnt, name), content, 0o644)
		case 3:
			if len(dirs) > 6 {
				return nil
			}
			name := fresh()
			model[name] = nil
			dirs = append(dirs, name)
			return os.Mkdir(filepath.Join(j.mnt, name), 0o755)
		case 4:
			name := all[j.rng.IntN(len(all))]
			delete(model, name)
			return os.Remove(filepath.Join(j.mnt, name))
		case 5: // an empty directory comes and goes
			name := filepath.Join(j.mnt, fresh())
			if err := os.Mkdir(name, 0o755); err != nil {
				return err
			}
			return os.Remove(name)
		default:
			from := all[j.rng.IntN(len(all))]
			to := fresh()
			if op > 7 {
				to = all[j.rng.IntN(len(all))]
			}
			if from == to {
				return nil
			}
			model[to] = model[from]
			delete(model, from)
			return os.Rename(filepath.Join(j.mnt, from), filepath.Join(j.mnt, to))
		}
	}
	if err := j.until(func(int) error {
		for range 20 {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for name, want := range model {
		if want == nil {
			continue
		}
		got, err := os.ReadFile(filepath.Join(j.mnt, name))
		if err := errors.Join(err, same(name+" on the mount", got, want)); err != nil {
			return err
		}
	}
	return j.compare(j.srv, model)
}
