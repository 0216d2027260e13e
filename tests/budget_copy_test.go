package tests

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

func TestBudgetOfACopyWithinTheMount(t *testing.T) {
	t.Parallel()
	m := newCountedMount(t)
	const size = 16 << 20
	must(t, os.WriteFile(m.root+"/big", pseudoRandom(1, size), 0o644))
	must(t, os.Chtimes(m.root+"/big", longAgo, longAgo))
	list(t, m.point)
	m.costs("cp of 16 MiB", 8, none, func(n int) {
		run(t, m.point, "cp", "big", fmt.Sprintf("copy%d", n))
	})
	if up, down := m.tap.Bytes(); up+down > 256<<10 {
		t.Errorf("%d bytes went up and %d down for a copy on the server", up, down)
	}
	got, err := os.ReadFile(m.root + "/copy0")
	must(t, err)
	if !bytes.Equal(got, pseudoRandom(1, size)) {
		t.Error("the copy differs")
	}
}

// The content of small files is fetched ahead, so it is written back from here: a creation and a WRITE each.
func TestBudgetOfACopyOfSmallFilesWithinTheMount(t *testing.T) {
	t.Parallel()
	m := newCountedMount(t)
	const files = 20
	must(t, os.Mkdir(m.root+"/d", 0o755))
	for i := range files {
		p := fmt.Sprintf("%s/d/f%02d", m.root, i)
		must(t, os.WriteFile(p, pseudoRandom(uint64(i), 5000), 0o644))
		must(t, os.Chtimes(p, longAgo, longAgo))
	}
	m.costs("cp -r of 20 files", 2*files+10, none, func(n int) {
		run(t, m.point, "cp", "-r", "d", fmt.Sprintf("copy%d", n))
	})
	run(t, m.root, "diff", "-r", "d", "copy0")
}
