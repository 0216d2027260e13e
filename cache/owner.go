package cache

import (
	"context"
	"syscall"

	"sshmount/sftpconn/session"
)

// owner is what is known of who owns what is made here: SFTP does not tell whom the server has let in. Guarded by Cache.mu.
type owner struct {
	home session.Attr // of the login directory, which is most likely the user's own; no flags where it is not known

	uid      uint32
	uidKnown bool // something was made here
	gid      uint32
	gidKnown bool // something was made in a directory that does not hand its group on by its set-group-ID bit
	groups   groupRule
}

// groupRule says which group the server gives to what is made.
type groupRule int

const (
	groupUntold      groupRule = iota // what was made until now is no evidence
	groupOfCreator                    // as Linux does it
	groupOfDirectory                  // as BSD does it
)

// learnHome looks at the login directory. An answer that does not come costs nothing but the first wait with Async.
func (c *Cache) learnHome(ctx context.Context) {
	a, err := c.conn.Stat(ctx, ".")
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner.home = a
}

// creator says who will own what is made in a directory. Where it is not sure it is a guess: the owner of the directory, as most
// people work in their own. Called with mu held.
func (c *Cache) creator(dir *Node) (uid, gid uint32, sure bool) {
	o := &c.owner
	uid, gid = dir.attr.UID, dir.attr.GID
	inherited := dir.attr.Mode&syscall.S_ISGID != 0
	if !o.uidKnown {
		hint := o.home.Flags&session.HasOwner != 0 && o.home.UID == uid && (inherited || o.home.GID == gid)
		return uid, gid, hint
	}
	switch {
	case inherited || o.gidKnown && o.gid == gid || o.groups == groupOfDirectory:
		return o.uid, gid, true
	case o.groups == groupOfCreator:
		return o.uid, o.gid, true
	}
	return o.uid, gid, false
}

// learnOwner takes the server's word for the owner of what it has just made in a directory.
func (c *Cache) learnOwner(dir *Node, a session.Attr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.owner
	if a.Flags&session.HasOwner == 0 {
		*o = owner{uidKnown: true, gidKnown: true, groups: groupOfDirectory} // nothing here has one
		return
	}
	o.uid, o.uidKnown = a.UID, true
	switch {
	case dir.attr.Mode&syscall.S_ISGID != 0:
		return
	case a.GID != dir.attr.GID:
		o.groups = groupOfCreator
	case o.gidKnown && a.GID != o.gid:
		o.groups = groupOfDirectory
	}
	o.gid, o.gidKnown = a.GID, true
}

// surelyMade says whether all is known of something that a program wants to make: that the name is free, in a directory that is
// there and not read-only, and whose it will be. A program that is shown a wrong owner is refused what it may do, or does not set right what is wrong.
func (c *Cache) surelyMade(dir *Node, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.freeIn(dir, name) {
		return false
	}
	_, _, sure := c.creator(dir)
	return sure && !c.mayNotChange(dir)
}

// mayNotChange says whether a directory's permission bits keep who is logged in from changing the names in it, as far as it is known who
// that is: what becomes of a change there the server has to say. Root may do it all the same. Called with mu held.
func (c *Cache) mayNotChange(dir *Node) bool {
	const owners, others = 0o300, 0o022
	uid, known := c.owner.uid, c.owner.uidKnown
	if !known {
		uid, known = c.owner.home.UID, c.owner.home.Flags&session.HasOwner != 0
	}
	switch {
	case known && uid == 0:
		return false
	case !known || uid == dir.attr.UID:
		return dir.attr.Mode&owners != owners
	}
	return dir.attr.Mode&others == 0
}
