package cache

import (
	"context"
	"syscall"

	"sshmount/sftpconn/session"
)

// owner is what is known of who will own what is made here: SFTP does not tell as which user one is logged in. Guarded by Cache.mu.
type owner struct {
	home session.Attr // of the login directory, which is most likely the user's own; no flags where it is not known

	uid      uint32
	uidKnown bool // something was made here, which has shown it
	gid      uint32
	gidKnown bool // something was made in a directory without the set-group-ID bit, which has shown it
	groups   groupRule
}

// groupRule says which group the server gives to what is made.
type groupRule int

const (
	groupUntold      groupRule = iota // nothing that was made has shown it
	groupOfCreator                    // that of the user, as on Linux
	groupOfDirectory                  // that of the directory, as on BSD
)

// learnHome looks at the login directory. Without an answer, with Async, the first program that makes something waits for the server.
func (c *Cache) learnHome(ctx context.Context) {
	a, err := c.conn.Stat(ctx, ".")
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner.home = a
}

// creator says who will own what is made in a directory. Where that is not sure it is a guess: that the directory is the user's own.
// Called with mu held.
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

// learnOwner learns from the attributes of what the server has just made in a directory.
func (c *Cache) learnOwner(dir *Node, a session.Attr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.owner
	if a.Flags&session.HasOwner == 0 {
		*o = owner{uidKnown: true, gidKnown: true, groups: groupOfDirectory} // this server tells no owners
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

// surelyMade says whether something that a program wants to make will surely be made, and who will own it: the name is free, in a directory
// that the user may change. Were a program shown a wrong owner it would be refused what it may do, or not set right what is wrong.
func (c *Cache) surelyMade(dir *Node, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.freeIn(dir, name) {
		return false
	}
	_, _, sure := c.creator(dir)
	return sure && !c.mayNotChange(dir)
}

// mayNotChange says whether a directory's permission bits may keep the user from changing the names in it, as far as it is known who that is:
// then only the server can say what becomes of a change. Nothing keeps root from it. Called with mu held.
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
