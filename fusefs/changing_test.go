package fusefs_test

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// copy_file_range(2) and sendfile(2) go as far as the kernel believes the file to go, and don't ask.
func TestAFileThatGrewIsCopiedToItsEnd(t *testing.T) {
	m := mount(t)
	for name, copied := range map[string]string{"within the mount": m.path("copy"), "to this machine": filepath.Join(t.TempDir(), "copy")} {
		t.Run(name, func(t *testing.T) {
			check(t, os.WriteFile(m.path("file"), noise(1, 5000), 0o644))
			want := noise(2, 300_000)
			check(t, os.WriteFile(m.server("file"), want, 0o644))
			in, err := os.Open(m.path("file"))
			check(t, err)
			defer in.Close()
			out, err := os.Create(copied)
			check(t, err)
			if n, err := io.Copy(out, in); n != int64(len(want)) || err != nil {
				t.Errorf("%d bytes of %d are copied; %v", n, len(want), err)
			}
			check(t, out.Close())
			same(t, copied, want)
		})
	}
}

// The kernel does not believe attributes beside which it is told that the pages are out of date.
func TestAFileThatWasSeenToGrowIsCopiedToItsEnd(t *testing.T) {
	m := mount(t)
	for i := range 50 {
		check(t, os.WriteFile(m.path("file"), noise(1, 5000), 0o644))
		check(t, os.Truncate(m.path("file"), 4000)) // the time of which is the server's to tell, so the stat will ask
		want := noise(2, 300_000+i)
		check(t, os.WriteFile(m.server("file"), want, 0o644))
		_, err := os.Stat(m.path("file"))
		check(t, err)
		in, err := os.Open(m.path("file"))
		check(t, err)
		out, err := os.Create(m.path("copy"))
		check(t, err)
		if n, err := io.Copy(out, in); n != int64(len(want)) || err != nil {
			t.Fatalf("%d bytes of %d are copied; %v", n, len(want), err)
		}
		check(t, out.Close())
		check(t, in.Close())
	}
}

// Then the pages that the other program has read are to be forgotten first.
func TestAFileThatGrewWhileAnotherHasItOpenIsCopiedToItsEnd(t *testing.T) {
	m := mount(t)
	check(t, os.WriteFile(m.path("file"), noise(1, 5000), 0o644))
	backdate(t, m.server("file"))
	other, err := os.Open(m.path("file"))
	check(t, err)
	defer other.Close()
	_, err = io.ReadAll(other)
	check(t, err)
	want := noise(2, 300_000)
	check(t, os.WriteFile(m.server("file"), want, 0o644))
	in, err := os.Open(m.path("file"))
	check(t, err)
	defer in.Close()
	out, err := os.Create(m.path("copy"))
	check(t, err)
	if n, err := io.Copy(out, in); n != int64(len(want)) || err != nil {
		t.Errorf("%d bytes of %d are copied; %v", n, len(want), err)
	}
	check(t, out.Close())
}

// Who is put off once, so that the kernel learns the size, is not put off again by the next change.
func TestAFileThatIsReplacedAllTheTimeIsOpened(t *testing.T) {
	m := mount(t)
	put(t, m.server("file"), "x")
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 200 {
				f, err := os.Open(m.path("file"))
				if err != nil {
					t.Error(err)
					return
				}
				f.Close()
			}
		})
	}
	done := make(chan struct{})
	go func() { readers.Wait(); close(done) }()
	for size := 1; ; size = size%9000 + 37 {
		select {
		case <-done:
			return
		default:
		}
		check(t, os.WriteFile(m.server("next"), noise(1, size), 0o644))
		check(t, os.Rename(m.server("next"), m.server("file")))
	}
}

// A hard link that was changed elsewhere is looked up by its name once more before it is opened. The kernel does that once, and whoever
// opens it is not put off a second time because it has grown meanwhile.
func TestAHardLinkThatGrowsAllTheTimeIsOpened(t *testing.T) {
	m := mount(t)
	put(t, m.path("file"), "x")
	f, err := os.OpenFile(m.server("file"), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	defer f.Close()
	var writer sync.WaitGroup
	defer writer.Wait()
	done := make(chan struct{})
	defer close(done)
	writer.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := f.WriteString("x"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 50 {
		check(t, os.Link(m.path("file"), m.path("link")))
		in, err := os.Open(m.path("file"))
		check(t, err)
		check(t, in.Close())
		check(t, os.Remove(m.path("link")))
	}
}
