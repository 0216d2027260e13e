package cache

import (
	"slices"
	"strings"
)

// sortAtOnce is how many names may be sorted with Cache.mu held; more would be noticed.
const sortAtOnce = 4096

// position is where a name stands in a listing, in its own order or in that of the names. False where it is not in the listing, and where
// the order of names is not there yet. Called with mu held.
func (c *Cache) position(l *listing, name string, byName bool) (int, bool) {
	i, ok := l.index[name]
	if !ok || !byName {
		return int(i), ok
	}
	if !c.sorted(l) {
		return 0, false
	}
	return l.place(name)
}

// sorted says whether the order of names of a listing is there. Where it is not it is made: at once, or, of many names, in the background.
// Called with mu held.
func (c *Cache) sorted(l *listing) bool {
	switch {
	case l.byName != nil:
		return true
	case !l.whole() || l.sorting || c.closed:
		return false
	}
	names := make([]string, l.ents.len())
	for i, e := range l.ents.all() {
		names[i] = e.name
	}
	if len(names) <= sortAtOnce {
		l.byName = sortNames(names)
		return true
	}
	l.sorting = true
	c.wg.Go(func() {
		byName := sortNames(names)
		c.mu.Lock()
		defer c.mu.Unlock()
		l.byName, l.sorting = byName, false
		for i := len(byName); i < l.ents.len(); i++ { // names that were made here meanwhile
			l.sortIn(int32(i))
		}
	})
	return false
}

// sortNames gives the positions of names, in the order of the names.
func sortNames(names []string) []int32 {
	byName := make([]int32, len(names))
	for i := range byName {
		byName[i] = int32(i)
	}
	slices.SortFunc(byName, func(a, b int32) int { return strings.Compare(names[a], names[b]) })
	return byName
}

// sortIn puts an entry that is new in the listing into the order of names, where that is there.
func (l *listing) sortIn(i int32) {
	if l.byName != nil {
		at, _ := l.place(l.ents.at(int(i)).name)
		l.byName = slices.Insert(l.byName, at, i)
	}
}

// place is where a name stands in the order of names, which is there, or where it would stand.
func (l *listing) place(name string) (int, bool) {
	return slices.BinarySearchFunc(l.byName, name, func(i int32, name string) int { return strings.Compare(l.ents.at(int(i)).name, name) })
}

// entry is the entry at a position, in the order of names, which is there, or in the listing's own.
func (l *listing) entry(i int, byName bool) *listEnt {
	if byName {
		return l.ents.at(int(l.byName[i]))
	}
	return l.ents.at(i)
}

// treeIter goes through the files of a tree depth first, as programs do, along the listings that are known. Used with Cache.mu held.
type treeIter struct {
	c      *Cache
	byName bool
	stack  []treePos
}

// treePos is how far a treeIter has come in one directory.
type treePos struct {
	dir  *Node
	next int // position of the next entry
}

// begin puts the iterator behind a name in dir. When it is through with dir it goes on in the directory above.
func (it *treeIter) begin(dir *Node, name string) {
	for at := dir; at != nil; at = at.parent {
		l := at.dir.list
		if l == nil || !l.whole() || l.until <= it.c.now() {
			break
		}
		i, ok := it.c.position(l, name, it.byName)
		if !ok {
			break
		}
		it.stack = append([]treePos{{at, i + 1}}, it.stack...)
		name = at.name
	}
}

// next gives the next entry that is no directory, and the directory that it is in; false at the end of what is known. A directory without a
// listing is such an end: its listing is asked for, and when that is there another iterator goes on (scanListed).
func (it *treeIter) next() (*Node, *listEnt, bool) {
	for len(it.stack) > 0 {
		top := &it.stack[len(it.stack)-1]
		l := top.dir.dir.list
		if l == nil || top.next >= l.ents.len() {
			it.stack = it.stack[:len(it.stack)-1]
			continue
		}
		e := l.entry(top.next, it.byName)
		top.next++
		if e.gone {
			continue
		}
		if !e.isDir() {
			return top.dir, e, true
		}
		sub, _, state := it.c.peek(top.dir, e.name)
		if state != present || !sub.isDir() {
			continue
		}
		switch sl := sub.dir.list; {
		case sl == nil || sl.whole() && sl.until <= it.c.now():
			if it.c.walk.underWay < walkUnderWay {
				it.c.fetchAhead(sub, nil)
			}
			return nil, nil, false
		case !sl.whole() || it.byName && !it.c.sorted(sl):
			return nil, nil, false
		default:
			it.stack = append(it.stack, treePos{sub, 0})
		}
	}
	return nil, nil, false
}
