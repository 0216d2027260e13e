package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// openRemote opens an existing file on the server by its path p, or, where that does not lead to it any more, by the path that it has then.
// size is OpenRequest's. self leads to the handle that the remote file will belong to, once there is one (reopened.go).
func (c *Cache) openRemote(ctx context.Context, n *Node, p string, pflags uint32, size int64, self **Handle) (*sftpconn.File, session.Attr, error) {
	for {
		f, a, tryAt, err := c.openAt(ctx, n, p, pflags, size, self)
		if tryAt == "" {
			return f, a, err
		}
		var end func()
		ctx, end = c.insist(ctx)
		defer end()
		p = tryAt
	}
}

// openAt is openRemote by the path p alone. Either the file is open, or err is final, or tryAt is the path by which the caller must try again,
// as a rename has crossed. The first of these that is so decides:
//
//	unsure      one of several names of the file may be another file's: err
//	strayed     a rename was entered meanwhile, so that p may have led to another file: tryAt
//	err         refused: err; but tryAt, where there was no such name and a change was just taking it away (otherPath)
//	elsewhere   what was opened is not the file that is known (partsAtOpen, isAnother): ESTALE
//	none        the file is open
func (c *Cache) openAt(ctx context.Context, n *Node, p string, pflags uint32, size int64, self **Handle) (
	f *sftpconn.File, a session.Attr, tryAt string, err error) {
	c.mu.Lock()
	asked, moved, before := c.serverPath(n), c.lastMove(n), c.stamp(n)
	cuts := pflags&session.OpenTrunc != 0
	path := func() string { return c.serverPathOf(n) }
	if n.parent == nil && p != "" {
		path = func() string { return p } // it has lost its name (OpenAgain, openOnDemand)
	}
	compares := !cuts && *self == nil // whether it must be the file that is known; a handle that has waited takes what it finds (openOnDemand)
	if cuts {
		n.willBeCut(0)
	}
	c.mu.Unlock()
	sure := func() error { return nil }
	beside := func() (a session.Attr, ok bool) { return a, false }
	if compares {
		sure = c.allNames(ctx, n)
		beside = c.askBeside(ctx, n, before)
	}
	f, a, err = c.open(ctx, sftpconn.OpenRequest{
		Path: path, Pflags: pflags, Follow: c.o.FollowSymlinks,
		Check: c.checkOf(self), Lost: c.lostOf(self), Written: c.writtenOf(self), Size: size,
	})
	unsure := sure()
	c.mu.Lock()
	// A truncation has its turn by this path, so a rename since then was of another of the file's names. It must not be sent twice.
	strayed := !cuts && c.path(n) != "" && c.strayed(ctx, n, moved, p, false)
	c.mu.Unlock()
	if err == nil && (unsure != nil || strayed) {
		f.Close()
	}
	switch {
	case unsure != nil:
		return nil, a, "", unsure
	case strayed:
		tryAt, err = c.pathToOpen(ctx, n)
		return nil, a, tryAt, err
	case err != nil:
		err = c.whyNotOpened(ctx, p, pflags&session.OpenWrite != 0, err)
		if errors.Is(err, syscall.ENOENT) {
			tryAt, err = c.otherPath(ctx, n, p, asked, err)
		}
		return nil, a, tryAt, err
	}
	if c.o.FollowSymlinks {
		if a, err = f.Stat(ctx); err != nil {
			f.Close()
			return nil, a, "", withErrno("open", p, err)
		}
	}
	elsewhere := compares && c.partsAtOpen(ctx, n, p, before, a, beside) || c.isAnother(n, a, before, compares)
	if elsewhere {
		f.Close()
		return nil, a, "", fail("open", p, syscall.ESTALE, errors.New("something else has the name now"))
	}
	return f, a, "", nil
}

// isAnother says whether what was opened, with attributes a, is not the file of the node n; then the next question about the name goes to the
// server. before is the stamp from before the opening. Without compares it is another only where it is no regular file.
func (c *Cache) isAnother(n *Node, a session.Attr, before stamp, compares bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	another := withType(a)&syscall.S_IFMT != syscall.S_IFREG
	if compares {
		crossed := n.gen != before.gen || before.dirty // then it may look different because of what was done here
		another = another || !crossed && n.anotherAt(a)
	}
	if another {
		c.replaced(n)
	}
	return another
}

// otherPath gives the path by which to open a file that was not found at p, because a change under way was just taking that name away. asked
// is the path that the file had on the server when it was asked for. Where there is no such change the file is gone, and the error is that
// of goneUnder for absent.
func (c *Cache) otherPath(ctx context.Context, n *Node, p, asked string, absent error) (string, error) {
	c.mu.Lock()
	changing := asked != p || c.path(n) != p || c.serverPath(n) != asked || c.queue.moving(ctx, p)
	c.mu.Unlock()
	if changing {
		if err := c.waitForChangesAt(ctx, asked); err != nil {
			return "", withErrno("open", p, err)
		}
		if now := c.pathOf(n); now != "" {
			return now, nil
		}
	}
	return "", c.goneUnder(ctx, n, p, absent)
}

// goneUnder notes that a file is not at p any more, as err says. It returns ESTALE where the file may be found by another of its names, after
// the kernel's look-up; else err.
func (c *Cache) goneUnder(ctx context.Context, n *Node, p string, err error) error {
	if e := c.allNames(ctx, n)(); e != nil {
		return e
	}
	c.notThere(ctx, n, p)
	if c.pathOf(n) != "" {
		return fail("open", p, syscall.ESTALE, err)
	}
	return err
}
