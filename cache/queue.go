package cache

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// queue carries out changes of names and attributes. Two changes conflict that are about the same path, or about two paths of which one
// is below the other: a directory is made before what is in it, and what is in it is done before the directory is removed or moved.
// Changes that conflict are done one after the other, in the order in which they came; all others side by side. Questions about a path wait for
// the changes there and above, too: before, nobody knows what has the name.
//
// A change comes by submit. What follows depends on whether its program has to wait.
//
// It has to, in the default mode and wherever the outcome is not sure. The change gets its turn (add) and waits for the earlier ones with
// which it conflicts (register). Then it is sent, its answer is entered in the tree (change.enter), and it leaves the queue (attend). A
// program that is killed meanwhile is answered at once; the change goes on to its end all the same.
//
// With Async a change whose outcome is known (change.sure) takes room in the backlog first. As soon as the changes on which its outcome
// depends are in the tree, that is entered in the tree as well (change.predict), and the program has its answer. The rest is done in the
// background (runAnswered): the change waits for the earlier ones, takes one of the slots, is sent, and leaves. Where it fails the
// prediction is taken back (settle.go), and the error is kept for whoever makes sure of it (failed.go).
//
// A change of a file's content as a whole bars the file before it gets its turn (attendBarred, truncate.go).
type queue struct {
	c       *Cache
	count   atomic.Int64  // changes pending; where it is 0 nobody has to take mu
	slots   chan struct{} // holds a token for each change that is being sent and whose program has its answer already; never closed
	backlog chan struct{} // holds a token for each change of the backlog; never closed
	held    heldMoves     // renames that wait for questions

	mu    sync.Mutex                       // guards at, under and pending.before; comes after Cache.mu
	at    map[string][]*pending            // the changes of each path, oldest first
	under map[string]map[*pending]struct{} // the changes below each directory
}

// newQueue makes the empty queue of a cache.
func newQueue(c *Cache) *queue {
	return &queue{
		c: c, slots: make(chan struct{}, maxUnderWay), backlog: make(chan struct{}, maxBacklog),
		at: map[string][]*pending{}, under: map[string]map[*pending]struct{}{},
	}
}

// busy says whether any change is pending.
func (q *queue) busy() bool { return q.count.Load() > 0 }

// add registers a change and says which earlier ones it must wait for. Called with Cache.mu held.
func (q *queue) add(p *pending) []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count.Add(1)
	before := map[*pending]struct{}{}
	for _, path := range p.paths {
		q.collect(path, true, newest, before)
	}
	for _, path := range p.paths {
		q.at[path] = append(q.at[path], p)
		for dir := range above(path) {
			set := q.under[dir]
			if set == nil {
				set = map[*pending]struct{}{}
				q.under[dir] = set
			}
			set[p] = struct{}{}
		}
	}
	p.before = slices.Collect(maps.Keys(before))
	for other := range before {
		p.moved = max(p.moved, other.moved)
	}
	if p.moves {
		p.moved++
	}
	return p.before
}

// newest gives the changes of one path, of all in list, that a further one has to wait for: the last that stands for those before it
// (standsForEarlier), and what came after that. Else, of a long backlog at one name, each change would hold a list of all before it. With E
// for one that stands for the earlier ones, and w for another, oldest first:
//
//	E1 E2 E3   E3, which is done after E2, and that after E1
//	E1 E2 w3   E2 and w3
//	w1 w2      w1 and w2
//
// Called with Cache.mu held.
func newest(list []*pending) []*pending {
	for i := len(list) - 1; i > 0; i-- {
		if list[i].standsForEarlier() {
			return list[i:]
		}
	}
	return list
}

// standsForEarlier says whether who waits for a change has waited for all that came before it at the same path: these are done before it is,
// and their outcome is in the tree already, as it has waited for that itself before it entered. One without locate has not: it enters the tree
// at once (register). Called with Cache.mu held.
func (p *pending) standsForEarlier() bool { return p.entered && p.locate != nil }

// conflicts adds to into the pending changes at path, above it and, with below, under it. Called with queue.mu held.
func (q *queue) conflicts(path string, below bool, into map[*pending]struct{}) {
	q.collect(path, below, func(all []*pending) []*pending { return all }, into)
}

// collect is conflicts, but adds only those that which picks from the changes of each path.
func (q *queue) collect(path string, below bool, which func([]*pending) []*pending, into map[*pending]struct{}) {
	for _, p := range which(q.at[path]) {
		into[p] = struct{}{}
	}
	for dir := range above(path) {
		for _, p := range which(q.at[dir]) {
			into[p] = struct{}{}
		}
	}
	if below {
		for p := range q.under[path] {
			into[p] = struct{}{}
		}
	}
}

// leave takes a change out of the queue, which is done or is not to be sent.
func (q *queue) leave(p *pending) {
	q.mu.Lock()
	for _, path := range p.paths {
		list := q.at[path]
		if i := slices.Index(list, p); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
		if len(list) == 0 {
			delete(q.at, path)
		} else {
			q.at[path] = list
		}
		for dir := range above(path) {
			delete(q.under[dir], p)
			if len(q.under[dir]) == 0 {
				delete(q.under, dir)
			}
		}
	}
	p.before = nil
	q.count.Add(-1)
	q.mu.Unlock()
	close(p.done)
}

// moving says whether a rename of a path, or of a directory above it, is pending. Where ctx is that of a change (turnIn), renames that wait
// for it don't count.
func (q *queue) moving(ctx context.Context, path string) bool {
	if !q.busy() {
		return false
	}
	set := map[*pending]struct{}{}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.conflicts(path, false, set)
	dropBehind(ctx, set)
	for p := range set {
		if p.moves {
			return true
		}
	}
	return false
}

// wait returns when no change is pending at path or above it that a question must wait for (concerning).
func (q *queue) wait(ctx context.Context, path string) error { return q.waitFor(ctx, path, false) }

// waitUnder is wait for everything below a directory, too.
func (q *queue) waitUnder(ctx context.Context, path string) error { return q.waitFor(ctx, path, true) }

func (q *queue) waitFor(ctx context.Context, path string, below bool) error {
	if !q.busy() {
		return nil
	}
	set := map[*pending]struct{}{}
	q.mu.Lock()
	q.conflicts(path, below, set)
	dropBehind(ctx, set)
	q.mu.Unlock()
	return waitAll(ctx, concerning(set))
}

// waitIn is wait for the names in a directory, too, but not for what is deeper: what the server lists then is not older than what programs
// were told.
func (q *queue) waitIn(ctx context.Context, dir string) error {
	if !q.busy() {
		return nil
	}
	set := map[*pending]struct{}{}
	q.mu.Lock()
	q.conflicts(dir, false, set)
	for p := range q.under[dir] {
		for _, path := range p.paths {
			if parentPath(path) == dir {
				set[p] = struct{}{}
			}
		}
	}
	dropBehind(ctx, set)
	q.mu.Unlock()
	return waitAll(ctx, concerning(set))
}

// drain waits until all changes that are pending now are done.
func (q *queue) drain(ctx context.Context) error {
	set := map[*pending]struct{}{}
	q.mu.Lock()
	for _, list := range q.at {
		for _, p := range list {
			set[p] = struct{}{}
		}
	}
	q.mu.Unlock()
	return waitAll(ctx, slices.Collect(maps.Keys(set)))
}

// concerning gives those of the changes for which a question must wait: all but attributes that a program is still waiting to have set, as
// nobody was told of them.
func concerning(set map[*pending]struct{}) []*pending {
	return slices.DeleteFunc(slices.Collect(maps.Keys(set)), func(p *pending) bool { return len(p.names) == 0 && !p.sure })
}

// waitAll waits until all of the changes are done.
func waitAll(ctx context.Context, list []*pending) error {
	for _, p := range list {
		if err := await(ctx, p.done); err != nil {
			return err
		}
	}
	return nil
}

// above goes through the directories above a path, nearest first; "/" is not among them.
func above(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
			if !yield(path[:i]) {
				return
			}
		}
	}
}
