package cache

import (
	"context"
	"errors"
	"syscall"
	"time"

	"sshmount/sftpconn/session"
)

// lookupsBeforeListing is how many names have to be asked for one by one in a directory, within
// lookupsWithin, before its listing is fetched in the background. The first name is enough where a
// program walks through the directory's siblings already, and within byLookupsWithin of the last
// listing that was fetched because of look-ups, anywhere.
const (
	lookupsBeforeListing = 3
	lookupsWithin        = 10 * time.Second
	byLookupsWithin      = 2 * time.Second // a program goes on by then, a person does not
)

// dirState is what is known of a directory's names. Guarded by Cache.mu.
type dirState struct {
	children map[string]*Node  // the names that have a node
	missing  map[string]int64  // names known not to be there, and until when (Cache.now)
	list     *listing          // the newest listing, whole or on its way; nil where there is none
	order    map[string]uint64 // the inode numbers of the listing before, so that names keep theirs

	looked   int   // names asked for one by one since lookedAt
	lookedAt int64 // when they began to be counted (Cache.now)
	scan     dirScan
	walk     dirWalk
	time     dirTime

	made bool  // it was made here: so it is on the same file system as the directory that it is in
	disk *disk // its file system (disk.go); nil where nothing is known of that

	there map[string]*nameThere // what the server has at the names of which changes are under way (-o async)
}

// Lookup finds a name. Where the error is ENOENT the Found has no Node, and its TTL says how long the absence may be trusted.
func (c *Cache) Lookup(ctx context.Context, dir *Node, name string) (Found, error) {
	return c.lookup(ctx, dir, name, 3)
}

// lookup is Lookup. It asks again, at most tries times, where a change in the directory has crossed with the answer and nobody knows
// whether it was of this name, and where further changes of the name came while it waited for the earlier ones: in a directory that never
// rests the last answer counts.
func (c *Cache) lookup(ctx context.Context, dir *Node, name string, tries int) (Found, error) {
	if err := checkName(name); err != 0 {
		return Found{}, fail("lookup", name, err, nil)
	}
	if !dir.isDir() {
		return Found{}, fail("lookup", name, syscall.ENOTDIR, nil)
	}
	if f, known, err := c.known(dir, name); known {
		return f, err
	}
	c.mu.Lock()
	moved := c.lastMove(dir)
	c.mu.Unlock()
	p, err := c.childPath(ctx, dir, name)
	if err != nil {
		return Found{}, err
	}
	c.mu.Lock()
	behind := place{dir, name}.there() != nil // changes were answered while it waited: the server tells what was before them
	if behind && tries > 0 {
		c.mu.Unlock()
		return c.lookup(ctx, dir, name, tries-1)
	}
	c.noteLookup(dir)
	before := c.stampName(dir, name)
	if behind {
		before = before.crossed()
	}
	c.mu.Unlock()
	a, err := c.statPath(ctx, p)
	err = withErrno("lookup", p, err)
	c.mu.Lock()
	again := c.strayed(ctx, dir, moved, p, errors.Is(err, syscall.ENOENT))
	c.mu.Unlock()
	if again {
		ctx, end := c.insist(ctx)
		defer end()
		return c.Lookup(ctx, dir, name)
	}
	if err != nil {
		if errors.Is(err, syscall.ENOENT) {
			return c.lookupMissed(dir, name, before.gen, err)
		}
		return Found{}, err
	}
	c.supplanted(ctx, before.child, p, before.asked, a)
	f, again, err := c.lookupMet(dir, name, p, before, a, tries == 0)
	if again {
		return c.lookup(ctx, dir, name, tries-1)
	}
	return f, err
}

// known answers a look-up from what is known here; ok is false where that is not enough. The error is ENOENT where the name is known not to
// be there.
func (c *Cache) known(dir *Node, name string) (f Found, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.walkUsed(dir)
	n, ttl, state := c.peek(dir, name)
	switch state {
	case present:
		return c.foundAt(n, place{dir, name}), true, nil
	case absent:
		return Found{TTL: ttl}, true, fail("lookup", name, syscall.ENOENT, nil)
	}
	return Found{}, false, nil
}

// knowledge is what peek knows of a name.
type knowledge int

const (
	unknown knowledge = iota
	present
	absent
)

// peek says what is known of a name, and for how long it may be trusted. Called with mu held.
func (c *Cache) peek(dir *Node, name string) (*Node, time.Duration, knowledge) {
	now := c.now()
	d := dir.dir
	if n := d.children[name]; n != nil {
		if until := n.nameUntil(place{dir, name}); until > now && !n.mtimeUnknown() {
			return n, time.Duration(until - now), present
		}
		return n, 0, unknown
	}
	if l := d.list; l != nil {
		if e := l.named(name); e != nil {
			if e.until > now && !e.doubt && !(c.o.FollowSymlinks && e.isLink()) {
				c.lists.Get(dir.id)
				n := c.newNode(dir, name, e.ino, e.attr)
				n.attr, n.until = e.attr, e.until
				c.retireIfUnheld(n)
				return n, time.Duration(e.until - now), present
			}
			return nil, 0, unknown
		}
		if l.whole() && l.until > now && !c.o.NoAbsence && dir.provesAbsence() {
			return nil, time.Duration(l.until - now), absent
		}
	}
	if until, ok := d.missing[name]; ok {
		if until > now {
			return nil, time.Duration(until - now), absent
		}
		delete(d.missing, name)
	}
	return nil, 0, unknown
}

// provesAbsence says whether a name that is not in a directory's listing, which is whole, is not in the directory. Called with mu held.
func (n *Node) provesAbsence() bool { return n.dir.list.ents.len() > 0 || searchable(n.attr.Mode) }

// searchable says whether everybody who may list a directory of that mode may also look up the names in it. Where not, OpenSSH lists no
// names at all, as it leaves out what it can't look at.
func searchable(mode uint32) bool { return mode>>2&^mode&0o111 == 0 }

// learn enters what the server tells of a name, and returns its node, which is made where there is none or another one. Called with mu held.
func (c *Cache) learn(dir *Node, name string, a session.Attr) *Node {
	n := c.child(dir, name)
	if n != nil && (!sameType(n, a) || n.anotherAt(a)) {
		c.forgetName(dir, name)
		n = nil
	}
	if n == nil {
		var id uint64
		if l := dir.dir.list; l != nil {
			if e := l.held(name); e != nil {
				id = e.ino
				e.gone, e.doubt = false, false
			}
		}
		n = c.newNode(dir, name, id, session.Attr{Mode: withType(a)})
	}
	delete(dir.dir.missing, name)
	c.keepAttr(n, a)
	c.nameTold(n, place{dir, name})
	c.retireIfUnheld(n)
	return n
}

// absent notes that a name is not there. Called with mu held.
func (c *Cache) absent(dir *Node, name string) {
	d := dir.dir
	if l := d.list; l != nil {
		if e := l.held(name); e != nil {
			e.gone, e.doubt = true, false
		}
	}
	if c.keepsNoAbsence() {
		return
	}
	if d.missing == nil {
		d.missing = map[string]int64{}
	}
	if len(d.missing) >= 4096 {
		clear(d.missing)
	}
	d.missing[name] = c.now() + int64(c.timeout)
}

// keepsNoAbsence says whether absences are not kept: each question for a name that is not there goes to the server.
func (c *Cache) keepsNoAbsence() bool { return c.timeout == 0 || c.o.NoAbsence }

// knownMissing says whether a name is known not to be there now, as after its removal here. Called with mu held.
func (c *Cache) knownMissing(dir *Node, name string) bool {
	return dir.dir.missing[name] > c.now()
}

// forgetName takes a name out of the tree and out of the listing, whatever has it. Called with mu held.
func (c *Cache) forgetName(dir *Node, name string) {
	c.forgetChild(dir, name)
	if l := dir.dir.list; l != nil {
		l.remove(name)
	}
}

// forgetChild takes a name away from the node that has it. Called with mu held.
func (c *Cache) forgetChild(dir *Node, name string) {
	if n := c.child(dir, name); n != nil {
		c.unname(n, dir, name)
		n.gen++
		c.dropKept(n)
		c.retireIfUnheld(n)
	}
}

// noteLookup counts names that are asked for one by one, and has the listing fetched when they become many. Called with mu held.
func (c *Cache) noteLookup(dir *Node) {
	d := dir.dir
	now := c.now()
	if now-d.lookedAt > int64(lookupsWithin) {
		d.looked, d.lookedAt = 0, now
	}
	d.looked++
	p := dir.parent
	walking := p != nil && p.dir.walk.children >= walkBegins && now-p.dir.walk.at < int64(walkWithin)
	byLookups := c.walk.byLookups > 0 && now-c.walk.byLookups < int64(byLookupsWithin)
	if d.looked < lookupsBeforeListing && !walking && !byLookups || !c.mayGuess() || !c.unlisted(dir) {
		return
	}
	d.looked = 0
	c.walk.byLookups = now
	c.startListing(dir)
	c.noteWalked(dir, true)
}
