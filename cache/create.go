package cache

import (
	"context"
	"errors"
	"syscall"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// Create opens a regular file, and makes it where it is not there; flags are those of open(2). With O_EXCL it fails with EEXIST where the name
// is taken. perm are the permission bits of a file that is made. A mknod(2) is a Create and a Release.
func (c *Cache) Create(ctx context.Context, dir *Node, name string, flags, perm uint32) (Found, *Handle, error) {
	excl := flags&syscall.O_EXCL != 0
	if excl {
		if err := c.mustBeFree(dir, name, "create"); err != nil {
			return Found{}, nil, err
		}
	}
	at := place{dir, name}
	c.mu.Lock()
	spared := c.spared(at)
	c.mu.Unlock()
	sure := c.surelyFree(dir, name)
	if c.o.Async && c.surelyMade(dir, name) && c.surelyOpened() {
		if found, h, err := c.createAsync(ctx, dir, name, flags, perm); !errors.Is(err, errOvertaken) {
			return found, h, err
		}
		sure = c.surelyFree(dir, name)
	}
	if !excl && flags&syscall.O_TRUNC != 0 {
		if found, h, err := c.recreate(ctx, at, spared, flags); h != nil || err != nil {
			return found, h, err
		}
	}
	return c.createWaited(ctx, at, spared, flags, perm, sure)
}

// createWaited is Create with the server's answer. sure says that the name is known to be free, and spared is what must not be overwritten.
func (c *Cache) createWaited(ctx context.Context, at place, spared *Node, flags, perm uint32, sure bool) (Found, *Handle, error) {
	dir, name := at.dir, at.name
	excl := flags&syscall.O_EXCL != 0
	var p string
	var before *Node // what had the name when the change got its turn
	var asked stamp  // of before
	var f *sftpconn.File
	var a session.Attr
	var self *Handle // guarded by mu
	var over handover[struct {
		h     *Handle
		found Found
	}]
	_, err := c.queue.submit(ctx, change{
		op: "create", names: []place{at},
		locate: func() (_ []string, err error) {
			if p, err = c.namePath(dir, name); err != nil {
				return nil, err
			}
			if err = c.notSpared("create", p, at, spared, syscall.EEXIST); err != nil {
				return nil, err
			}
			if before = c.child(dir, name); before != nil {
				asked = c.stamp(before)
			}
			if flags&syscall.O_TRUNC != 0 {
				before.willBeCut(0)
			}
			return []string{p}, nil
		},
		run: func(ctx context.Context) (err error) {
			f, a, err = c.createFile(ctx, dir, c.createRequest(p, flags, perm, &self), excl, sure)
			return err
		},
		enter: func(err error) {
			switch {
			case err != nil:
			case over.unwanted:
				f.Close()
			default:
				self = c.handleCreated(c.created(dir, name, a, excl, before, asked), f, a, flags)
				over.made.h, over.made.found = self, c.found(self.n)
			}
		},
	})
	made := over.returned(c, err)
	switch {
	case err == nil:
		return made.found, made.h, nil
	case made.h != nil:
		made.h.Release()
		c.Forget(made.found.Node.id, 1)
	}
	c.notMade(dir, name, err)
	return Found{}, nil, err
}

// recreate is Create with O_TRUNC for a file that is known and has bytes on their way: it is truncated when these have arrived, as a creation
// would overtake them. Without handle and error there is no such file.
func (c *Cache) recreate(ctx context.Context, at place, spared *Node, flags uint32) (Found, *Handle, error) {
	p, err := c.childPath(ctx, at.dir, at.name)
	if err != nil {
		return Found{}, nil, err
	}
	c.mu.Lock()
	n := c.child(at.dir, at.name)
	dirty := n != nil && c.stamp(n).dirty
	err = c.notSpared("create", p, at, spared, syscall.EEXIST)
	c.mu.Unlock()
	if !dirty || err != nil {
		return Found{}, nil, err
	}
	h, _, err := c.openTruncated(ctx, n, p, flags)
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ESTALE):
		return Found{}, nil, nil
	case err != nil:
		return Found{}, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found(n), h, nil
}

// createFile has the server make a file, or, without excl, open the one that is there. sure says that the name is known to be free. It
// returns the attributes of what is open.
func (c *Cache) createFile(ctx context.Context, dir *Node, req sftpconn.OpenRequest, excl, sure bool) (*sftpconn.File, session.Attr, error) {
	const op = "create"
	var f *sftpconn.File
	var a session.Attr
	var made bool
	try := func() (err error) {
		f, a, made, err = c.createRemote(ctx, req, excl, sure)
		return err
	}
	p, asked := req.Path(), c.now()
	err := c.ifNoRoom(ctx, asked, try(), try, func(err error) error { return c.whyNotCreated(ctx, p, excl, err) })
	if failure(err) && excl && !errors.Is(c.whyNotMade(ctx, op, p, err), syscall.EEXIST) {
		err = c.pastGuesses(ctx, asked, err, try)
	}
	if excl && errors.Is(err, sftpconn.ErrUncertain) {
		c.log.Warn("a file was to be made when the connection was lost, and is there now: whether this mount has made it cannot be told", "path", p)
	}
	if err != nil {
		return nil, a, c.whyNotCreated(ctx, p, excl, err)
	}
	if made {
		c.learnOwner(dir, a)
	}
	if c.o.FollowSymlinks || withType(a)&syscall.S_IFMT == syscall.S_IFLNK {
		if a, err = f.Stat(ctx); err != nil {
			f.Close()
			return nil, a, withErrno(op, p, err)
		}
	}
	if withType(a)&syscall.S_IFMT != syscall.S_IFREG {
		f.Close()
		return nil, a, fail(op, p, syscall.EEXIST, errors.New("the name is taken by something that is no regular file"))
	}
	return f, a, nil
}

// created enters a file that the server has made, or, without excl, may only have opened, and returns its node. before is the node that had
// the name when the change got its turn, or nil, and asked its stamp from then. Called with mu held.
func (c *Cache) created(dir *Node, name string, a session.Attr, excl bool, before *Node, asked stamp) *Node {
	if excl {
		c.forgetName(dir, name) // what had the name before is not what was made now
		n := c.enter(dir, name, a)
		n.ours = n.until
		return n
	}
	n := c.child(dir, name)
	if n == nil || n != before || !sameType(n, a) || n.gen == asked.gen && !asked.dirty && n.sent == 0 {
		return c.enter(dir, name, a)
	}
	// The file is being changed here: what the server has told may be of before.
	if n.gen == asked.gen && n.sent == 0 {
		c.keepAsked(n, asked, a)
	}
	return n
}

// handleCreated makes the handle of a file that created has entered, whose remote file f has attributes a. Called with mu held.
func (c *Cache) handleCreated(n *Node, f *sftpconn.File, a session.Attr, flags uint32) *Handle {
	if flags&syscall.O_TRUNC != 0 && n.file != nil {
		n.file.data.Drop()
	}
	if fs := c.content(n); !fs.version.known && !fs.written.untold && !fs.held {
		fs.mark(signatureOf(a), c.serverNow())
	}
	h := c.newHandle(n, c.openBackend(f, nil), flags)
	n.file.written.changed = true
	return h
}

// createRequest makes the request that creates a file at p. Once self leads to its handle the path is that of the handle's node.
func (c *Cache) createRequest(p string, flags, perm uint32, self **Handle) sftpconn.OpenRequest {
	pflags := openFlags(flags) | session.OpenCreate
	if flags&syscall.O_TRUNC != 0 {
		pflags |= session.OpenTrunc | session.OpenWrite
	}
	return sftpconn.OpenRequest{
		Path: func() string {
			c.mu.Lock()
			defer c.mu.Unlock()
			if *self == nil {
				return p
			}
			return c.serverPath((*self).n)
		},
		Check: c.checkOf(self), Lost: c.lostOf(self), Written: c.writtenOf(self), Pflags: pflags, Perm: perm & 0o7777,
	}
}

// createRemote sends the request of a creation. Where the name is known to be free (sure) it asks for EXCL, also for a program that did not:
// then the file is certainly new, and its mode may be set in the same flight. made says that it is new.
func (c *Cache) createRemote(ctx context.Context, req sftpconn.OpenRequest, excl, sure bool) (f *sftpconn.File, a session.Attr, made bool, err error) {
	if excl || sure {
		own := req
		own.Pflags |= session.OpenExcl
		own.SetPerm = true
		sent, asked := time.Now(), c.now()
		try := func() (err error) {
			f, a, err = c.conn.Open(ctx, own)
			return err
		}
		if err = try(); c.mayBeFull(err) { // any other refusal may be because the name is taken
			err = c.pastGuesses(ctx, asked, err, try)
		}
		switch {
		case err == nil:
			c.learnClock(a, sent)
			return f, a, true, nil
		case errors.Is(err, sftpconn.ErrUncertain):
			ours := sure && c.oursSince(ctx, req.Path(), sent)
			if excl && !ours {
				return f, a, false, err
			}
			req.SetPerm = ours // the server's umask may have taken bits from its mode
		case failure(err) && !excl: // the name may have been taken meanwhile, which the program allows
		default:
			return f, a, false, err
		}
	}
	f, a, err = c.openPastGuesses(ctx, req)
	return f, a, false, err
}

// oursSince says whether the file at path can only have been made by the creation that was sent at the time given and got
// no answer: the name was free a moment before, and the file is empty and not older. False where the server's clock is
// not known.
func (c *Cache) oursSince(ctx context.Context, path string, sent time.Time) bool {
	if !c.clockKnown.Load() {
		return false
	}
	a, err := c.conn.Lstat(ctx, path)
	if err != nil || withType(a)&syscall.S_IFMT != syscall.S_IFREG || a.Size != 0 {
		return false
	}
	made := time.Unix(int64(a.Mtime), 0).Add(-c.clockAhead()).Unix()
	return made >= sent.Unix()-clockBlur && made <= time.Now().Unix()+clockBlur
}
