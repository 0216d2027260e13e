package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn/session"
)

// Mkdir makes a directory with these permission bits.
func (c *Cache) Mkdir(ctx context.Context, dir *Node, name string, perm uint32) (Found, error) {
	found, _, err := c.makeName(ctx, "mkdir", dir, name, syscall.S_IFDIR, func() session.Attr {
		// A set-group-ID bit of the parent is handed on.
		return session.Attr{Mode: perm&0o7777 | dir.attr.Mode&syscall.S_ISGID, Size: 4096}
	}, func(ctx context.Context, p string) (session.Attr, error) {
		return c.conn.Mkdir(ctx, p, perm&0o7777)
	})
	return found, err
}

// Symlink makes a link to target, which is stored as it is.
func (c *Cache) Symlink(ctx context.Context, dir *Node, name, target string) (Found, error) {
	const op = "symlink"
	if target == "" || len(target) > maxPath {
		return Found{}, fail(op, name, syscall.ENAMETOOLONG, nil)
	}
	found, made, err := c.makeName(ctx, op, dir, name, syscall.S_IFLNK, func() session.Attr {
		return session.Attr{Mode: 0o777, Size: uint64(len(target))}
	}, func(ctx context.Context, p string) (session.Attr, error) {
		return c.conn.Symlink(ctx, target, p)
	})
	if made && c.o.FollowSymlinks {
		// symlink(2) wants a link; the next look-up finds what it leads to.
		c.mu.Lock()
		defer c.mu.Unlock()
		found.Node.expire()
		found.TTL, found.AttrTTL = 0, 0
	}
	return found, err
}

// makeName makes a directory or a symbolic link at a free name. kind is its type, of S_IFMT; will gives the rest of the attributes that it
// is expected to have, and is called with mu held; ask has the server make it, at the path p. made says that the server has done so; else
// found is what is foreseen (-o async).
func (c *Cache) makeName(ctx context.Context, op string, dir *Node, name string, kind uint32, will func() session.Attr,
	ask func(ctx context.Context, p string) (session.Attr, error)) (found Found, made bool, err error) {
	if err := c.mustBeFree(dir, name, op); err != nil {
		return Found{}, false, err
	}
	var p string
	var got session.Attr
	var foreseen *Node // what predict has entered, before run is called; else nil
	var over handover[struct {
		found   Found
		refused error // why what the server shows is not what was made
	}]
	ch := change{
		op: op, sure: c.surelyMade(dir, name), names: []place{{dir, name}}, locate: c.locateName(&p, dir, name),
		still: func() bool { return c.freeIn(dir, name) },
		predict: func(*change) {
			a := will()
			a.Mode |= kind
			over.made.found = c.predict(dir, name, a)
			foreseen = over.made.found.Node
		},
		run: func(ctx context.Context) (err error) {
			at := c.inTurn(place{dir, name}, p)
			if got, err = ask(ctx, at); err != nil {
				return c.whyNotMade(ctx, op, at, err)
			}
			c.learnOwner(dir, got)
			c.learnTimes(foreseen, got)
			return nil
		},
		enter: func(err error) {
			if err != nil {
				return
			}
			n, refused := c.made(dir, name, p, kind, got)
			over.made.refused = refused
			if n != nil && !over.unwanted {
				over.made.found = c.found(n)
			}
		},
	}
	done, err := c.submitSure(ctx, ch)
	answer := over.returned(c, err)
	if err == nil {
		err = answer.refused
	}
	if err != nil {
		if answer.found.Node != nil {
			c.Forget(answer.found.Node.id, 1)
		}
		c.notMade(dir, name, err)
		return Found{}, false, err
	}
	return answer.found, done, nil
}

// Link gives a node one more name. EPERM where hard links are switched off, EOPNOTSUPP where the server has none.
func (c *Cache) Link(ctx context.Context, n *Node, dir *Node, name string) (Found, error) {
	const op = "link"
	if c.o.DisableHardlink {
		return Found{}, fail(op, name, syscall.EPERM, errors.New("hard links are switched off (disable_hardlink)"))
	}
	if err := c.mustBeFree(dir, name, op); err != nil {
		return Found{}, err
	}
	if err := c.sureOfNames(ctx, n); err != nil {
		return Found{}, err
	}
	var from, p string
	var known place // the name of n that from leads to
	var found Found
	ch := change{
		op: op, sure: c.surelyLinked(n, place{dir, name}), names: []place{{dir, name}},
		still: func() bool { return c.freeIn(dir, name) },
		predict: func(*change) {
			c.enterLink(n, dir, name)
			found = c.foundAt(n, place{dir, name})
		},
		enter: func(err error) {
			if err == nil {
				c.enterLink(n, dir, name)
			}
		},
		locate: func() (paths []string, err error) {
			if from = c.path(n); from == "" {
				return nil, fail(op, "", c.lostName(n), errors.New("its name is gone"))
			}
			known = place{n.parent, n.name}
			if p, err = c.namePath(dir, name); err != nil {
				return nil, err
			}
			return []string{from, p}, nil
		},
		run: func(ctx context.Context) error {
			from, p := c.linkedFrom(n, known), c.inTurn(place{dir, name}, p)
			if from == "" {
				return fail(op, p, syscall.ENOENT, errors.New("the file that was to get a name more was refused"))
			}
			if err := c.conn.Link(ctx, from, p); err != nil {
				return c.whyNotLinked(ctx, from, p, err)
			}
			c.linked(n, place{dir, name})
			return nil
		},
	}
	done, err := c.submitSure(ctx, ch)
	if err != nil {
		c.notMade(dir, name, err)
		return Found{}, c.byAName(ctx, n, err)
	}
	if done {
		c.mu.Lock()
		defer c.mu.Unlock()
		found = c.foundAt(n, place{dir, name})
	}
	return found, nil
}

// locateName makes the hook locate of a change of one name, which sets *p to its path.
func (c *Cache) locateName(p *string, dir *Node, name string) func() ([]string, error) {
	return func() (_ []string, err error) {
		if *p, err = c.namePath(dir, name); err != nil {
			return nil, err
		}
		return []string{*p}, nil
	}
}

// submitSure is queue.submit. Where the outcome of a change was sure, and is not when it is to enter the tree, it is submitted once more, as
// one whose program waits for the server.
func (c *Cache) submitSure(ctx context.Context, ch change) (done bool, err error) {
	done, err = c.queue.submit(ctx, ch)
	if errors.Is(err, errOvertaken) {
		ch.sure = false
		done, err = c.queue.submit(ctx, ch)
	}
	return done, err
}

// inTurn gives the path of a name for the request of a change that has its turn now. It is p, by which the program was answered, unless a
// rename of a directory above was refused since (-o async).
func (c *Cache) inTurn(at place, p string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dir := c.serverPath(at.dir); dir != "" {
		return join(dir, at.name)
	}
	return p
}

// mustBeFree refuses, without asking, a name that no file can have, or that is known to be taken.
func (c *Cache) mustBeFree(dir *Node, name, op string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.namePath(dir, name)
	if err != nil {
		return err
	}
	if _, _, state := c.peek(dir, name); state == present {
		return fail(op, p, syscall.EEXIST, nil)
	}
	return nil
}

// surelyFree says whether a name is known not to be there. It takes mu.
func (c *Cache) surelyFree(dir *Node, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.freeIn(dir, name)
}

// freeIn is surelyFree with mu held.
func (c *Cache) freeIn(dir *Node, name string) bool {
	if !dir.isDir() {
		return false
	}
	_, _, state := c.peek(dir, name)
	return state == absent
}

// notMade distrusts a name that could not be made, where err says that it is there, or leaves open whether it was made.
func (c *Cache) notMade(dir *Node, name string, err error) {
	if !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.EISDIR) && !unanswered(err) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.distrustName(place{dir, name}) // the listing, too, is older than that name
}

// predict enters a name that the server has still to make, with attributes a and the owner and times that it is expected to get. Called with
// mu held.
func (c *Cache) predict(dir *Node, name string, a session.Attr) Found {
	now := seconds(c.ChangeTime().Unix())
	a.Flags = session.HasMode | session.HasSize | session.HasOwner | session.HasTimes
	a.Atime, a.Mtime = now, now
	a.UID, a.GID, _ = c.creator(dir)
	n := c.enter(dir, name, a)
	n.foreseen = true
	n.making = place{dir, name}
	return c.found(n)
}

// made enters a name that the server has made, with the attributes got that it has shown in the same flight. It fails with ESTALE where
// these are not of the type kind. Called with mu held.
func (c *Cache) made(dir *Node, name, p string, kind uint32, got session.Attr) (*Node, error) {
	if withType(got)&syscall.S_IFMT != kind {
		return nil, fail("stat", p, syscall.ESTALE, errors.New("something else has the name now"))
	}
	c.forgetName(dir, name) // what had the name before is not what was made now
	n := c.enter(dir, name, got)
	n.ours = n.until
	return n, nil
}

// enter puts a name that was made here into the tree, with attributes a, and returns its node. Called with mu held.
func (c *Cache) enter(dir *Node, name string, a session.Attr) *Node {
	n := c.child(dir, name)
	if n != nil && !sameType(n, a) {
		c.forgetName(dir, name)
		n = nil
	}
	if n == nil {
		n = c.newNode(dir, name, 0, a)
		if n.isDir() {
			n.dir.made = true
			c.emptyListing(n)
		}
	}
	c.changed(n)
	c.keepAttr(n, a)
	c.nameAdded(dir, name, n)
	c.retireIfUnheld(n)
	return n
}

// nameAdded enters a new name in its directory's listing and absences. Called with mu held.
func (c *Cache) nameAdded(dir *Node, name string, n *Node) {
	delete(dir.dir.missing, name)
	if l := dir.dir.list; l != nil {
		before := l.ents.len()
		l.add(name, n, n.until)
		l.compact()
		c.listed += l.ents.len() - before
	}
	c.touched(dir)
}
