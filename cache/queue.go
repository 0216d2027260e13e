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

// queue carries changes out, in the order given for each name, and between names where one is in the other (a directory
// before what is in it, what is in it before its removal or move), side by side else. With Async, changes whose outcome
// is known are answered at once and run in the background; any other is waited for by the program that wants it.
// Without Async they have their turn all the same: a question about a name has to wait until it is known what
// has the name, and a rename until what is under it has been done by the old path.
//
// A change that a program waits for is submitted; it is added, which gives it its turn, and waits for the earlier ones that
// it conflicts with (register); it is sent, its answer is entered in the tree (enter), and it leaves (attend). A program that
// is killed meanwhile has its answer at once; the change goes on to its end all the same.
//
// With Async and a known outcome (sure) it takes room in the backlog first; as soon as what it depends on is in the
// tree its outcome is entered there, too (predict), and the program has its answer. All the rest is done in the background: it
// waits for the earlier ones, takes one of the slots, is sent, and leaves (runAnswered). Where it fails, the prediction
// is taken back (there.go), and the error is kept for who makes sure of it (failed, failed.go).
//
// A change of the content of a file as a whole has a bar of that file besides, before its turn (attendBarred, truncate.go).
type queue struct {
	c     *Cache
	count atomic.Int64  // changes pending; 0 is the fast path of wait
	slots chan struct{} // one token for each change being sent whose program has its answer already
	room  chan struct{} // one token for each change of the backlog

	mu    sync.Mutex                       // guards at and under; taken after Cache.mu where both are
	at    map[string][]*pending            // by path, oldest first
	under map[string]map[*pending]struct{} // by each directory above a pending change's path
}

func newQueue(c *Cache) *queue {
	return &queue{
		c: c, slots: make(chan struct{}, maxUnderWay), room: make(chan struct{}, maxBacklog),
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
	return p.before
}

// newest gives those of the changes of a path that are to be waited for where all are: one that has entered the tree isn't done before those
// that were there when it came. Without that a backlog at one name would hold a list of the others for each. Called with Cache.mu held.
func newest(list []*pending) []*pending {
	for i := len(list) - 1; i > 0; i-- {
		if list[i].entered && list[i].locate != nil { // one without may have come before what has not entered
			return list[i:]
		}
	}
	return list
}

// conflicts collects the pending changes at path, above it and, with below, under it. Called with mu held.
func (q *queue) conflicts(path string, below bool, into map[*pending]struct{}) {
	q.collect(path, below, func(all []*pending) []*pending { return all }, into)
}

// collect is conflicts, but with those alone that which picks of the changes of one path.
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

// leave ends a change.
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

// moving says whether a rename is pending of a path or of what is above it; one that waits for the change whose turn ctx is does not count.
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

// wait returns when no change is pending at path or above it that may make the answer to a question another: attributes that a
// program is still waiting to have set don't, as nobody was told of them.
func (q *queue) wait(ctx context.Context, path string) error { return q.waitFor(ctx, path, false) }

// waitUnder is wait for everything in a directory too.
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

// waitIn returns when no change is pending at a directory, above it, or of a name in it: what the server lists then is not
// older than what programs were told.
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

// drain waits until none of the changes that are pending now is.
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

// concerning gives those of the changes for which a question must wait.
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
