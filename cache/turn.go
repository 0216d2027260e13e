package cache

import (
	"context"
	"maps"
)

// turnKey is the context key of the change that runs in a context.
type turnKey struct{}

// turnIn makes the context in which a change runs. A question about a name in that context does not wait for changes that themselves wait
// for this one: the two would wait for each other for ever.
func (p *pending) turnIn(ctx context.Context) context.Context {
	return context.WithValue(ctx, turnKey{}, p)
}

// dropBehind takes out of a set the change that runs in ctx, if any, and the changes that can't be done before it is. Called with queue.mu
// held.
func dropBehind(ctx context.Context, set map[*pending]struct{}) {
	turn, ok := ctx.Value(turnKey{}).(*pending)
	if !ok {
		return
	}
	known := map[*pending]bool{turn: true}
	maps.DeleteFunc(set, func(p *pending, _ struct{}) bool { return p.behind(known) })
}

// behind says whether a change waits for one that known says to be behind, directly or through others. What is found is added to known.
// Called with queue.mu held.
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
