package cache

import (
	"syscall"

	"sshmount/sftpconn/session"
)

// nameStamp is the state of a name in a directory when a question about it went out.
type nameStamp struct {
	gen   uint64 // Node.changes of the directory: what the server tells of it is not about the name
	child *Node  // what had the name; nil where the tree held nothing there
	asked stamp  // of child
}

// stampName takes the stamp of a name before a question. Called with mu held.
func (c *Cache) stampName(dir *Node, name string) nameStamp {
	before := nameStamp{gen: dir.changes(), child: c.child(dir, name)}
	if before.child != nil {
		before.asked = c.stamp(before.child)
		before.child.noteWanted()
	}
	return before
}

// crossed is the stamp as from before a change of the name and of what has it: an answer is then taken for one that has crossed with a change,
// and is not believed against what the tree holds. Stamps are compared by equality alone, so any other count will do.
func (s nameStamp) crossed() nameStamp {
	s.gen--
	s.asked.gen--
	return s
}

// lookupMet enters the attributes a that the server has told of a name. again says that it has to be asked once more; with last it is never
// true.
func (c *Cache) lookupMet(dir *Node, name, p string, before nameStamp, a session.Attr, last bool) (f Found, again bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.child(dir, name)
	crossed := dir.changes() != before.gen
	switch {
	case n != nil && n == before.child && !last && (n.mayBeNewerThan(before.asked, a) || n.unasked(before.asked, a) != nil):
		n.expire()
		return Found{}, true, nil
	case n != nil && (n != before.child || n.gen != before.asked.gen || n.sent > 0 && sameType(n, a)):
		// It was made or changed here while the question was on its way, or is just being changed by another of its names: what is known is
		// newer.
	case n == nil && crossed && c.knownMissing(dir, name):
		return Found{}, false, fail("lookup", p, syscall.ENOENT, nil)
	case n == nil && crossed && (c.keepsNoAbsence() || before.child != nil) && !last:
		// The name may have been taken away here since. Nothing tells so where absences are not kept, or where a rename may have left it.
		return Found{}, true, nil
	case n != nil && before.asked.dirty && sameType(n, a):
		c.keepAsked(n, before.asked, a)
		c.nameTold(n, place{dir, name})
	default:
		n = c.learn(dir, name, a)
	}
	n.shown = true
	return c.foundAt(n, place{dir, name}), false, nil
}

// lookupMissed enters that the server has no such name; err says so. gen is Node.changes of the directory before the question.
func (c *Cache) lookupMissed(dir *Node, name string, gen uint64, err error) (Found, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dir.changes() != gen {
		if n := c.child(dir, name); n != nil && c.valid(n) {
			return c.found(n), nil // made here meanwhile
		}
		return Found{}, err
	}
	if n := c.child(dir, name); n != nil && c.neverShown(n) {
		return c.found(n), nil
	}
	c.forgetName(dir, name)
	c.absent(dir, name)
	if c.o.NoAbsence {
		return Found{}, err
	}
	return Found{TTL: c.timeout}, err
}
