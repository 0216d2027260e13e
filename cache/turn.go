package cache

import (
	"context"
	"maps"
)

// turnKey is the key of the change whose turn a context is.
type turnKey struct{}

// turnIn makes the context in which a change runs: what asks within it about a name does not wait for changes that wait for this one.
func (p *pending) turnIn(ctx context.Context) context.Context {
	return context.WithValue(ctx, turnKey{}, p)
}

// dropBehind takes the change whose turn ctx is out of a set, if it is one, and those that can't be done before it is. Called with
// queue.mu held.
func dropBehind(ctx context.Context, set map[*pending]struct{}) {
	turn, ok := ctx.Value(turnKey{}).(*pending)
	if !ok {
		return
	}
	known := map[*pending]bool{turn: true}
	maps.DeleteFunc(set, func(p *pending, _ struct{}) bool { return p.behind(known) })
}

// behind says whether a change waits for one that is known to be behind, by itself or through others; known grows by what is found.
func (p *pending) behind(known map[*pending]bool) bool {
	if is, ok := known[p]; ok {
		return is
	}
	for _, other := range p.before {
		if other.behind(known) {
			known[p] = true
			return true
		}
	}
	known[p] = false
	return false
}
