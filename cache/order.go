package cache

import (
	"slices"
	"syscall"
)

// position is where a name stands in a listing, in one of the two orders.
func (l *listing) position(name string, byName bool) (int, bool) {
	i, ok := l.index[name]
	if !ok {
		return 0, false
	}
	if !byName {
		return int(i), true
	}
	l.sort()
	return slices.BinarySearchFunc(l.byName, name, func(i int32, name string) int { return compare(l.ents[i].name, name) })
}

// sort makes the order by names, again where the listing has grown.
func (l *listing) sort() {
	if len(l.byName) == len(l.ents) {
		return
	}
	l.byName = make([]int32, len(l.ents))
	for i := range l.byName {
		l.byName[i] = int32(i)
	}
	slices.SortFunc(l.byName, func(a, b int32) int { return compare(l.ents[a].name, l.ents[b].name) })
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// entry is the one at a position of one of the two orders.
func (l *listing) entry(i int, byName bool) *listEnt {
	if byName {
		l.sort()
		return &l.ents[l.byName[i]]
	}
	return &l.ents[i]
}

// treeIter goes through a tree depth first, as programs do, along the listings that are known. Used with Cache.mu held.
type treeIter struct {
	c      *Cache
	byName bool
	root   *Node
	stack  []treePos
}

type treePos struct {
	dir  *Node
	next int // position of the next entry
}

// begin puts the iterator behind a name.
func (it *treeIter) begin(dir *Node, name string) {
	for at := dir; at != nil; at = at.parent {
		l := at.dir.list
		if l == nil || !l.whole() || l.until <= it.c.now() {
			break
		}
		i, ok := l.position(name, it.byName)
		if !ok {
			break
		}
		it.stack = append([]treePos{{at, i + 1}}, it.stack...)
		name = at.name
	}
}

// next gives the next entry that is no directory. A directory on the way whose listing is not known is asked for, and passed by.
func (it *treeIter) next() (*Node, *listEnt, bool) {
	for len(it.stack) > 0 {
		top := &it.stack[len(it.stack)-1]
		l := top.dir.dir.list
		if l == nil || top.next >= len(l.ents) {
			it.stack = it.stack[:len(it.stack)-1]
			continue
		}
		e := l.entry(top.next, it.byName)
		top.next++
		if e.gone {
			continue
		}
		if e.attr.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			return top.dir, e, true
		}
		sub, _, state := it.c.peek(top.dir, e.name)
		if state != present || !sub.isDir() {
			continue
		}
		switch sl := sub.dir.list; {
		case sl == nil || sl.whole() && sl.until <= it.c.now():
			if it.c.walk.underWay < walkUnderWay {
				it.c.fetchAhead(sub)
			}
			return nil, nil, false // go on when it is there
		case !sl.whole():
			return nil, nil, false
		default:
			it.stack = append(it.stack, treePos{sub, 0})
		}
	}
	return nil, nil, false
}
