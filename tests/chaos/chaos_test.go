package chaos

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	BecomeWorker()
	goleak.VerifyTestMain(m)
}

const (
	least = 500 * time.Millisecond
	most  = 2500 * time.Millisecond
	// testTime is when no new round is begun any more, so that a slow machine ends in time too.
	testTime = 150 * time.Second
)

// TestNobodyNotices has each fault happen once to all works at once, from a fixed seed, and
// some more from a random one, as far as the time goes. scripts/chaos does it for hours.
func TestNobodyNotices(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "sshmount")
	build := exec.Command("go", "build", "-race", "-o", binary, "sshmount/cmd/sshmount")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	namespace := true
	if err := NamespacesWork(); err != nil {
		namespace = false
		t.Logf("no fault changes the address: %v", err)
	}
	random := rand.Uint64() >> 1
	t.Logf("the random seed is %d", random)
	begin := time.Now()
	r, err := NewRig(context.Background(), Config{Dir: rigDir(t, dir), Command: []string{binary}, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	round := func(f Fault, seed uint64) {
		if f.Namespace && !namespace || time.Since(begin) > testTime {
			t.Logf("%s is left out", f.Name)
			return
		}
		for _, res := range r.Round(f, Works(), seed, least, most) {
			if res.Err != nil {
				t.Errorf("%v\nto repeat: scripts/chaos --seed %d --rounds 1 --mounts 1 --least %v --most %v --fault '^%s$' --work '.'",
					res, seed, least, most, f.Name)
			} else {
				t.Log(res)
			}
		}
	}
	faults := Faults()
	for _, i := range rand.Perm(len(faults)) { // so that a slow machine does not leave out the same ones each time
		seed := fnv.New32a()
		fmt.Fprint(seed, faults[i].Name)
		round(faults[i], uint64(seed.Sum32()))
	}
	for k := range uint64(3) {
		round(faults[rand.IntN(len(faults))], random+k)
	}
}

// rigDir is kept when the test fails, for its logs.
func rigDir(t *testing.T, dir string) string {
	kept, err := os.MkdirTemp("", "sshmount-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs are in %s", kept)
			return
		}
		os.RemoveAll(kept)
	})
	return kept
}
