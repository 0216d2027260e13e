package cache

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSmallFilesAreFetchedAhead(t *testing.T) {
	for _, order := range []string{"listing", "name"} {
		t.Run(order, func(t *testing.T) {
			r := newRig(t, nil)
			const files = 60
			want := map[string]string{}
			for i := range files {
				name := fmt.Sprintf("f%02d", i)
				want[name] = fmt.Sprint("content ", i)
				if i%20 == 10 {
					want[name] = strings.Repeat(want[name], smallFile/len(want[name])+1)
				}
				r.put("d/"+name, want[name])
			}
			d := r.mustFind("d").Node
			list := slices.Sorted(maps.Keys(want))
			if order == "listing" {
				list = nil
				for _, e := range r.list(d) {
					list = append(list, e.Name)
				}
			}
			read := func() {
				t.Helper()
				for _, name := range list {
					if got := r.readAll(r.mustFind("d/" + name).Node); got != want[name] {
						t.Fatalf("%s holds %.20q (%d bytes), want %.20q", name, got, len(got), want[name])
					}
				}
				if hits := r.Status().PrefetchHits; hits < files*2/3 {
					t.Errorf("%d of %d files had been fetched ahead", hits, files)
				}
			}
			r.costs("reading the files one after the other", 36, read)
			// What is here is looked at in the same way; what has changed since then is seen.
			for _, name := range []string{list[files/2], list[files/2+1]} {
				want[name] = "changed on the server"
				r.put("d/"+name, want[name])
			}
			r.costs("reading them again", 20, read)
		})
	}
}

// As diff -r does.
func TestFilesOfTwoDirectoriesReadSideBySideAreFetchedAhead(t *testing.T) {
	r := newRig(t, nil)
	const files = 40
	for i := range files {
		for _, dir := range []string{"a", "b"} {
			r.put(fmt.Sprintf("%s/f%02d", dir, i), dir)
		}
	}
	for _, dir := range []string{"a", "b"} {
		r.list(r.mustFind(dir).Node)
	}
	r.costs("reading them", 40, func() {
		for i := range files {
			for _, dir := range []string{"a", "b"} {
				if got := r.readAll(r.mustFind(fmt.Sprintf("%s/f%02d", dir, i)).Node); got != dir {
					t.Fatalf("read %q", got)
				}
			}
		}
	})
}

// As a program loads its modules: in an order of its own, but the same each time.
func TestFilesReadInTheOrderOfTheLastTimeAreLookedAtAhead(t *testing.T) {
	r := newRig(t, nil)
	var list []string
	for i := range 120 {
		name := fmt.Sprintf("d%d/f%02d", i%3, i)
		r.put(name, name)
		list = append(list, name)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	list = list[:60]
	read := func() {
		t.Helper()
		for _, name := range list {
			if got := r.readAll(r.mustFind(name).Node); got != name {
				t.Fatalf("%s holds %q", name, got)
			}
		}
	}
	for dir := range 3 {
		r.list(r.mustFind(fmt.Sprintf("d%d", dir)).Node)
	}
	read()
	r.costs("reading them again", 20, read)
}

// As git reads HEAD and config, again and again, and then the others.
func TestOfAFewFilesAllAreFetchedAhead(t *testing.T) {
	r := newRig(t, nil)
	for _, name := range []string{"HEAD", "config", "description", "index", "packed-refs"} {
		r.put(name, "content of "+name)
	}
	r.list(r.Root())
	for _, name := range []string{"HEAD", "config", "config"} {
		r.readAll(r.mustFind(name).Node)
	}
	r.costs("the rest of them", 3, func() {
		for _, name := range []string{"packed-refs", "index", "description"} {
			if got := r.readAll(r.mustFind(name).Node); got != "content of "+name {
				t.Errorf("%s holds %q", name, got)
			}
		}
	})
}

func TestOneOpenedFileFetchesNoOther(t *testing.T) {
	r := newRig(t, nil)
	for i := range 10 {
		r.put(fmt.Sprint("f", i), "x")
	}
	r.list(r.Root())
	r.tap.Reset()
	r.readAll(r.mustFind("f3").Node)
	if got := r.tap.Requests()["OPEN"]; got != 1 {
		t.Errorf("%d files were opened, one was asked for", got)
	}
}

// A program that reads some files of a directory now and then must not have the others fetched each time.
func TestWhatIsFetchedInVainIsLeftAlone(t *testing.T) {
	r := newRig(t, nil)
	r.epoch = r.epoch.Add(-time.Hour) // so that there are times to go back to
	for i := range 6 {
		r.put(fmt.Sprintf("f%d", i), "content")
	}
	r.list(r.Root())
	for i, want := range []uint64{3, 3, 0} {
		if got := r.readFew(3, "f%d"); got != want {
			t.Errorf("%d files were fetched in vain the %d. time, want %d", got, i+1, want)
		}
	}
}

// readFew reads n files of the root and no more, until what was fetched ahead of that, and the scan itself, have had their time. It returns how
// many were fetched in vain.
func (r *rig) readFew(n int, name string) uint64 {
	r.t.Helper()
	before := r.Status().PrefetchMiss
	for i := range n {
		r.readAll(r.mustFind(fmt.Sprintf(name, i)).Node)
	}
	waitFor(r.t, "nothing is on its way", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.scan.underWay == 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.scan.fetched {
		a.readAt -= int64(aheadFor) + 1 // its time is over
	}
	r.scanSweep()
	r.root.dir.scan.openedAt -= int64(scanWithin) // and so is that of the program
	return r.scan.misses - before
}

// As a program loads its modules: it goes on in one directory while others are read. What comes in the tree then is nobody's wish.
func TestDirectoriesReadInTurnAreNoWalkThroughTheTree(t *testing.T) {
	r := newRig(t, nil)
	for _, dir := range []string{"a", "b", "c"} {
		for i := range 10 {
			r.put(fmt.Sprintf("%s/f%d", dir, i), dir)
		}
	}
	r.list(r.Root())
	for _, dir := range []string{"a", "b", "c"} {
		r.list(r.mustFind(dir).Node)
	}
	for i := range 10 {
		for _, dir := range []string{"a", "b"} {
			r.readAll(r.mustFind(fmt.Sprintf("%s/f%d", dir, i)).Node)
		}
	}
	n := r.mustFind("c/f0").Node
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.file != nil {
		t.Error("a file of the next directory was fetched")
	}
}

// What a program writes is kept here for a while. Then the kernel alone has it, but for the page in which the file ends, which it has to
// ask for.
func TestFilesThatWereWrittenHereAreFetchedAhead(t *testing.T) {
	r := newRig(t, func(o *Options) { o.ReadBudget = 16 << 10 })
	const files = 60
	old := time.Now().Add(-time.Hour)
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	want := func(i int) string { return strings.Repeat(fmt.Sprint("content ", i), 100) }
	for i := range files {
		n := r.create(d.Node, fmt.Sprintf("f%02d", i), want(i)).Node
		if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mtime: &old}); err != nil {
			t.Fatal(err)
		}
	}
	// The first read rides in the flight of its OPEN only where no handle is just being given back.
	waitFor(t, "their handles are given back", func() bool { return r.tap.Count("CLOSE") == files })
	_, err = r.find("none") // its answer comes behind those of the CLOSEs
	wantErrno(t, err, syscall.ENOENT)
	read := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if got := r.readAll(r.mustFind(fmt.Sprintf("d/f%02d", i)).Node); got != want(i) {
				t.Fatalf("f%02d holds %.20q", i, got)
			}
		}
	}
	r.costs("opening and reading the first", 1, func() { read(0, 1) })
	r.costs("reading the rest one after the other", files/3, func() { read(1, files) })
}

// As for cp(1) within the mount, which takes long over each file: what is fetched too early is too old when it is opened.
func TestNoMoreIsFetchedAheadThanAProgramComesToInTime(t *testing.T) {
	r := newRig(t, nil)
	const files, took = 100, 500 * time.Millisecond
	for i := range files {
		r.put(fmt.Sprintf("f%02d", i), "content")
	}
	r.list(r.Root())
	for i := range 20 {
		r.mu.Lock()
		r.scan.lastAt -= int64(took) // as if it had worked on the last one for so long
		r.mu.Unlock()
		r.readAll(r.mustFind(fmt.Sprintf("f%02d", i)).Node)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if most := int(aheadFor / took); r.scan.unused > most || r.scan.unused == 0 {
		t.Errorf("%d files are ahead, and %d can be used in time", r.scan.unused, most)
	}
}

// Where memory is short the kernel forgets files, and with each its pages.
func TestFilesThatTheKernelHasForgottenAreFetchedAhead(t *testing.T) {
	r := newRig(t, func(o *Options) { o.ReadBudget = 4 << 10 })
	const files = 60
	name := func(i int) string { return fmt.Sprintf("f%02d", i) }
	for i := range files {
		r.put(name(i), strings.Repeat(name(i), 1000))
	}
	r.list(r.Root())
	read := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			n := r.mustFind(name(i)).Node
			if got := r.readAll(n); got != strings.Repeat(name(i), 1000) {
				t.Fatalf("%s holds %.20q", name(i), got)
			}
			r.Forget(n.ID(), 1)
		}
	}
	read(0, files)
	r.costs("reading them again", files/3, func() { read(0, files) })
}
