package cache

import (
	"syscall"
	"unsafe"

	"sshmount/sftpconn/session"
)

// maxListed bounds the names in all listings that nobody reads at the moment. A variable for the tests.
var maxListed = 400_000

// listingMost bounds what one listing takes, in bytes: a server that goes on for ever must not fill the memory. It has room for more than two
// million names of usual length; garbage may add half as much again. A variable for the tests.
var listingMost = 336 << 20

// entryCost is what a name takes in a listing, in bytes, besides those of the name: its entry, and its place in the index, a third of which is
// free.
const entryCost = int(unsafe.Sizeof(listEnt{})) + 64

// listing is the names of a directory in the server's order, growing while it is fetched, and kept
// up to date with the changes made here. Entries move only while nobody reads: an offset of readdir stays good.
// Guarded by Cache.mu.
type listing struct {
	ents        entries
	index       map[string]int32 // position in ents of each name
	done        bool             // nothing more comes
	err         error            // where done: why the listing is not whole; nil where it is
	until       int64            // it may be trusted until then
	more        chan struct{}    // closed when entries or the end have come, by takeNames and finishListing; the former makes a new one
	changedHere map[string]bool  // while it is fetched: names that were changed here, of which what the server lists is older; true: taken away
	users       int              // directory handles that read it
	early       bool             // it is fetched before anybody has asked for it: counted in walk.underWay until it is done
	guess       bool             // and its request is on its way: counted in Cache.guess
	linksTo     int              // the targets of links before this position have been asked for
	cost        int              // what its entries take, in bytes
	countAt     int              // how many entries there must be before those that are gone are counted again (compact)

	byName  []int32 // positions in ents in the order of names; nil until it is wanted
	sorting bool    // byName is being made
}

// listEnt is a name in a listing, with what is known of the file there while it has no node.
type listEnt struct {
	name  string
	ino   uint64 // the number that its node has, or will have
	attr  session.Attr
	until int64 // attr may be trusted until then (Cache.now)
	gone  bool  // the name was removed since
	doubt bool  // the listing has begun again (restart), and the server has not named it again yet
}

func (e *listEnt) isLink() bool { return e.attr.Mode&syscall.S_IFMT == syscall.S_IFLNK }
func (e *listEnt) isDir() bool  { return e.attr.Mode&syscall.S_IFMT == syscall.S_IFDIR }

// whole says whether the listing came to its end without an error.
func (l *listing) whole() bool { return l.done && l.err == nil }

// named is the entry of a name; nil where the name is not there any more, or not in the listing, or there is no listing.
func (l *listing) named(name string) *listEnt {
	if l == nil {
		return nil
	}
	if e := l.held(name); e != nil && !e.gone {
		return e
	}
	return nil
}

// held is the entry of a name, also of one that is gone; nil where there is none.
func (l *listing) held(name string) *listEnt {
	if i, ok := l.index[name]; ok {
		return l.ents.at(int(i))
	}
	return nil
}

// remove notes that a name is gone, for readers that have not come to it, and for a fetch that is under way.
func (l *listing) remove(name string) {
	if e := l.held(name); e != nil {
		e.gone, e.doubt = true, false
	}
	if !l.done {
		l.changedHere[name] = true
	}
}

// add enters a name that was made here.
func (l *listing) add(name string, n *Node, until int64) {
	if !l.done {
		l.changedHere[name] = false
	}
	e := listEnt{name: name, ino: n.id, attr: n.attr, until: until}
	if had := l.held(name); had != nil {
		*had = e // also where it was gone: those who have read past it have had the name
		return
	}
	l.index[name] = int32(l.ents.len())
	l.ents.append(e)
	l.sortIn(l.index[name])
}

// goneMost is how many entries of a listing may be gone, besides as many as there are names, before it is compacted.
const goneMost = 1024

// compact takes out the entries that are gone, once they are the larger part of a listing and nobody has an offset into it. Without it names
// that come and go would add to the listing for as long as the directory is known.
func (l *listing) compact() {
	if l.ents.len() < max(goneMost, l.countAt) || !l.done || l.users > 0 || l.sorting {
		return
	}
	there := 0
	for _, e := range l.ents.all() {
		if !e.gone {
			there++
		}
	}
	if l.ents.len() <= 2*there+goneMost {
		l.countAt = l.ents.len() + l.ents.len()/4 // so counting costs little beside adding
		return
	}
	var ents entries
	index := make(map[string]int32, there)
	for _, e := range l.ents.all() {
		if !e.gone {
			index[e.name] = int32(ents.len())
			ents.append(*e)
		}
	}
	l.ents, l.index, l.byName, l.countAt, l.linksTo = ents, index, nil, 0, 0
}

// changed notes that a node was changed from here: answers that cross with the change are not kept. Called with mu held.
func (c *Cache) changed(n *Node) {
	n.gen++
	c.noteChange(n)
	c.outdateListing(n)
}

// noteChange notes when a file was last changed from here, or had such a change acknowledged. Called with mu held.
func (c *Cache) noteChange(n *Node) {
	if !n.isDir() {
		c.changedAt = c.now()
	}
}

// outdateListing has nothing believed of what a listing that is under way tells of a node. Called with mu held.
func (c *Cache) outdateListing(n *Node) {
	for _, p := range n.names() {
		if l := p.dir.dir.list; l != nil && !l.done {
			l.changedHere[p.name] = false
		}
	}
}

// emptyListing gives a directory that was just made here its listing. Called with mu held.
func (c *Cache) emptyListing(dir *Node) {
	c.setListing(dir, &listing{index: map[string]int32{}, done: true, until: c.now() + int64(c.timeout), more: closedChan})
}

var closedChan = func() chan struct{} { ch := make(chan struct{}); close(ch); return ch }()

// setListing makes l a directory's listing. Called with mu held.
func (c *Cache) setListing(dir *Node, l *listing) {
	c.dropListing(dir)
	dir.dir.list = l
	c.listed += l.ents.len()
	c.lists.Add(dir.id, dir)
}

// dropListing forgets a directory's listing; handles that read it keep it. Called with mu held.
func (c *Cache) dropListing(dir *Node) {
	d := dir.dir
	if d.list == nil {
		return
	}
	c.listed -= d.list.ents.len()
	d.list = nil
	c.walkUncount(dir)
	c.lists.Remove(dir.id)
}

// distrust has the next question about a directory's names go to the server: its listing is known to be wrong somewhere, or, where it is
// still on its way, may be. Called with mu held.
func (c *Cache) distrust(dir *Node) {
	switch l := dir.dir.list; {
	case l == nil:
	case l.whole():
		l.until = 0 // it is kept for its order and its inode numbers
	default:
		c.dropListing(dir)
	}
}

// trimListings forgets the listings that were not used for longest, until the rest is within maxListed. Called with mu held.
func (c *Cache) trimListings() {
	for tries := c.lists.Len(); c.listed > maxListed && tries > 0; tries-- {
		id, dir, ok := c.lists.GetOldest()
		if !ok {
			return
		}
		if l := dir.dir.list; l.users > 0 || !l.done {
			c.lists.Get(id) // in use: it goes to the young end
			continue
		}
		c.dropListing(dir)
	}
}

// keepInListing puts what is known of a node into the listings that have its names, for those who ask when the node is forgotten. Called with
// mu held, while the node has its names.
func (c *Cache) keepInListing(n *Node) {
	for _, at := range n.names() {
		l := at.dir.dir.list
		if l == nil {
			continue
		}
		if e := l.named(at.name); e != nil {
			e.attr, e.until = n.attr, n.nameUntil(at)
			if n.mtimeUnknown() {
				e.until = 0
			}
		}
	}
}
