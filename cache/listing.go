package cache

import (
	"syscall"
	"unsafe"

	"sshmount/sftpconn/session"
)

// maxListed bounds the names in all listings that nobody reads at the moment.
const maxListed = 400_000

// listingMost bounds what one listing takes, in bytes: a server that goes on for ever must not fill the memory. It is room for more than two
// million names of usual length; as garbage half as much again comes together. A variable for the tests.
var listingMost = 336 << 20

// entryCost is what a name takes in a listing besides its bytes, in bytes: its entry, and its place in the index, of which a third is free.
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
	more        chan struct{}    // closed, by whoever changes ents or done while fetching, and made anew
	changedHere map[string]bool  // while fetching: names changed here, of which the server's word is older; true: taken away
	users       int              // open directory handles
	early       bool             // fetched before anybody asked: counted in walk.underWay until it is done
	guess       bool             // and its request is on its way: counted in Cache.guess
	linksTo     int              // the targets of the links before this entry have been asked for
	cost        int              // what its entries take, in bytes
	countAt     int              // with so many entries those that are gone are counted next

	byName  []int32 // positions in ents in the order of names; nil until it is wanted
	sorting bool    // byName is being made
}

// listEnt is a name in a listing, with what is known of the file there while it has no node.
type listEnt struct {
	name  string
	ino   uint64 // the number that its node has, or will have
	attr  session.Attr
	until int64 // attr may be trusted until then
	gone  bool  // removed since
	doubt bool  // handed out before the listing began again, and the server has not named it again yet
}

func (e *listEnt) isLink() bool { return e.attr.Mode&syscall.S_IFMT == syscall.S_IFLNK }

// whole says whether the listing came to its end without an error.
func (l *listing) whole() bool { return l.done && l.err == nil }

// named is the entry of a name; nil where it is not there, or there is no listing.
func (l *listing) named(name string) *listEnt {
	if l == nil {
		return nil
	}
	if e := l.held(name); e != nil && !e.gone {
		return e
	}
	return nil
}

// held is the entry of a name, also where it is gone; nil where there is none.
func (l *listing) held(name string) *listEnt {
	if i, ok := l.index[name]; ok {
		return l.ents.at(int(i))
	}
	return nil
}

// remove marks a name as gone, for readers to come and for the fetch under way.
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
		*had = e // also where it was gone: who has read past it has had it
		return
	}
	l.index[name] = int32(l.ents.len())
	l.ents.append(e)
	l.sortIn(l.index[name])
}

// goneMost is how many entries of a listing may be gone before it is made anew, besides as many as there are names.
const goneMost = 1024

// compact takes out what is gone, once that is the most of a listing and nobody has an offset into it: names that come and go would
// otherwise add to it for as long as the directory is known.
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
		l.countAt = l.ents.len() + l.ents.len()/4 // counting costs little beside what was added since
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

// changed notes that this side changed a node: answers that crossed with it are not kept. Called with mu held.
func (c *Cache) changed(n *Node) {
	n.gen++
	c.noteChange(n)
	c.outdateListing(n)
}

// noteChange notes that a file was changed from here, or has the changes acknowledged. Called with mu held.
func (c *Cache) noteChange(n *Node) {
	if !n.isDir() {
		c.changedAt = c.now()
	}
}

// outdateListing has a listing under way not be believed in what it says of a node. Called with mu held.
func (c *Cache) outdateListing(n *Node) {
	for _, p := range n.names() {
		if l := p.dir.dir.list; l != nil && !l.done {
			l.changedHere[p.name] = false
		}
	}
}

// emptyListing is that of a directory just made here.
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

// dropListing forgets a directory's listing; who reads it keeps it. Called with mu held.
func (c *Cache) dropListing(dir *Node) {
	d := dir.dir
	if d.list == nil {
		return
	}
	c.listed -= d.list.ents.len()
	d.list = nil
	if by := d.walk.fetchedBy; by != 0 {
		if by == c.walk.run {
			c.walk.unused--
		}
		d.walk.fetchedBy = 0
	}
	c.lists.Remove(dir.id)
}

// distrust makes the next question about a directory's names go to the server: its listing is known to be wrong, or, where it
// is still on its way, to have crossed with what is wrong. Called with mu held.
func (c *Cache) distrust(dir *Node) {
	switch l := dir.dir.list; {
	case l == nil:
	case l.whole():
		l.until = 0 // its order and inode numbers stay good
	default:
		c.dropListing(dir)
	}
}

// trimListings forgets the listings used longest ago until the rest is within bounds. Called with mu held.
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

// keepInListing hands what a node knew back to the listings that have its names, for the next who asks. Called with mu held, before it
// loses them.
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
