package cache

import (
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRandomProgramsSeeTheirOwnWorld drives random operations, through the cache, and compares each answer and the final
// state on the server with a model, on a good line, on one that is cut all the time, and with -o async.
func TestRandomProgramsSeeTheirOwnWorld(t *testing.T) {
	for _, tc := range []struct {
		name        string
		async, cuts bool
	}{{"good line", false, false}, {"cut line", false, true}, {"async", true, false}, {"async, cut line", true, true}} {
		t.Run(tc.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { randomProgram(t, rt, tc.async, tc.cuts) })
		})
	}
}

// program is a random program, with the model of what it has to see. An operation that can't be done at the moment does nothing.
type program struct {
	r           *rig
	rt          *rapid.T
	async, cuts bool
	w           world
	open        []*opened
}

var operations = map[string]func(*program){
	"create":   (*program).create,
	"open":     (*program).openAgain,
	"write":    (*program).write,
	"read":     (*program).read,
	"truncate": (*program).truncate,
	"close":    (*program).close,
	"fsync":    (*program).fsync,
	"times":    (*program).setTimes,
	"copy":     (*program).copy,
	"mkdir":    (*program).mkdir,
	"unlink":   (*program).unlink,
	"rmdir":    (*program).rmdir,
	"rename":   (*program).rename,
	"link":     (*program).link,
	"list":     (*program).list,
	"stat":     (*program).stat,
}

func randomProgram(t *testing.T, rt *rapid.T, async, cuts bool) {
	r := newRig(t, func(o *Options) {
		o.Async = async
		o.Logger = slog.New(slog.NewTextHandler(rapidLog{rt}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	if cuts {
		defer r.cutAllTheTime(rapid.Uint64().Draw(rt, "moments of the cuts"))()
	}
	pr := &program{r: r, rt: rt, async: async, cuts: cuts, w: world{}}
	names := append(slices.Sorted(maps.Keys(operations)), "write", "read") // these two more often
	steps := rapid.IntRange(5, 40).Draw(rt, "steps")
	for range steps {
		operations[rapid.SampledFrom(names).Draw(rt, "op")](pr)
	}
	for _, o := range pr.open {
		if err := o.h.Fsync(ctxOf(t)); err != nil {
			rt.Fatalf("fsync at the end: %v", err)
		}
		o.h.Release()
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		rt.Fatalf("sync: %v", err)
	}
	r.sameOnServer(rt, pr.w)
}

// cutAllTheTime cuts the line, at moments that the seed tells, until it is stopped.
func (r *rig) cutAllTheTime(seed uint64) (stop func()) {
	stopped := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 1))
		next := 5 + rng.IntN(60)
		for {
			select {
			case <-stopped:
				return
			case <-time.After(time.Millisecond):
			}
			// Some requests pass between two cuts, so that the work gets on however busy the machine is.
			if seen := r.tap.Total(); seen > next {
				r.srv.Cut()
				next = seen + 5 + rng.IntN(60)
			}
		}
	})
	return func() { close(stopped); wg.Wait() }
}

// find gives the node that has a path.
func (pr *program) find(p string) *Node {
	if p == "" {
		return pr.r.Root()
	}
	f, err := pr.r.find(p)
	if err != nil {
		pr.rt.Fatalf("finding %q: %v", p, err)
	}
	return f.Node
}

// place draws a name in a directory that there is, free or not.
func (pr *program) place() (dir, p string) {
	dir = rapid.SampledFrom(pr.w.dirs()).Draw(pr.rt, "dir")
	return dir, under(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(pr.rt, "name"), dir)
}

// heldOnBrokenLine says whether a file is open where the line is cut: one that lost its name can't be found again after that, and
// there, and only there, such handles are left out.
func (pr *program) heldOnBrokenLine(p string) bool {
	return pr.cuts && slices.ContainsFunc(pr.open, func(o *opened) bool { return o.f == pr.w[p] })
}
