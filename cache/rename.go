package cache

import (
	"context"
	"errors"
	"strings"
	"syscall"
)

// Rename moves a name. What has the new name is replaced; with noReplace that is EEXIST instead.
func (c *Cache) Rename(ctx context.Context, dir *Node, name string, newdir *Node, newname string, noReplace bool) error {
	const op = "rename"
	var from, to string
	at, dest := place{dir, name}, place{newdir, newname}
	locate := c.locateRename(&from, &to, at, dest)
	c.mu.Lock()
	if _, err := locate(); err != nil {
		c.mu.Unlock()
		return err
	}
	src, _, srcState := c.peek(dir, name)
	dst, _, dstState := c.peek(newdir, newname)
	known := renameRefused(src, srcState, dst, dstState, noReplace)
	sure := srcState == present && (dstState == absent || dstState == present && !dst.isDir() && !noReplace) &&
		sameDisk(dir, newdir) && !c.mayNotChange(dir) && !c.mayNotChange(newdir)
	spared := c.spared(dest)
	comes := src != nil && src.awaits(at)
	c.mu.Unlock()
	switch {
	case known != 0:
		return fail(op, from, known, nil)
	case srcState == present && dstState == present && src == dst:
		return nil // two names of one file: rename(2) does nothing
	}
	defer c.openBeforeRemoval(ctx, dst)()
	ch := change{
		op: op, sure: sure, moves: true, names: []place{at, dest},
		locate: func() ([]string, error) {
			paths, err := locate()
			if err == nil && comes && c.child(dir, name) != src {
				err = fail(op, from, syscall.ENOENT, errors.New("what was to be moved has not got there, as that was refused"))
			}
			if err == nil {
				err = c.notSpared(op, to, dest, spared, syscall.EBUSY)
			}
			return paths, err
		},
		run: func(ctx context.Context) error {
			from, to := c.inTurn(at, from), c.inTurn(dest, to)
			if err := c.conn.Rename(ctx, from, to, noReplace); err != nil {
				return c.whyNotRenamed(ctx, from, to, noReplace, err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			joinDisks(dir, newdir)
			return nil
		},
		still:   func() bool { return c.child(newdir, newname) == dst && c.child(dir, name) == src },
		predict: func(*change) { c.move(dir, name, newdir, newname) },
		enter:   func(err error) { c.renamed(at, dest, err) },
	}
	_, err := c.submitSure(ctx, ch)
	return err
}

// renamed enters in the tree the outcome of a rename; err is the server's answer. Called with mu held.
func (c *Cache) renamed(from, to place, err error) {
	n := c.child(from.dir, from.name)
	switch {
	case err == nil && n != nil && n == c.child(to.dir, to.name):
		// They were two names of one file, as far as is known here: then the server has left both.
		c.doubtName(from.dir, from.name)
		c.doubtName(to.dir, to.name)
	case err == nil:
		c.move(from.dir, from.name, to.dir, to.name)
	case n != nil && errors.Is(err, syscall.ENOENT):
		n.expire()
	case errors.Is(err, syscall.EEXIST):
		c.distrustName(to)
	}
}

// locateRename makes the hook locate of a rename, which sets *from and *to to the paths.
func (c *Cache) locateRename(from, to *string, src, dst place) func() ([]string, error) {
	return func() (_ []string, err error) {
		if *from, err = c.namePath(src.dir, src.name); err != nil {
			return nil, err
		}
		if *to, err = c.namePath(dst.dir, dst.name); err != nil {
			return nil, err
		}
		if strings.HasPrefix(*to, *from+"/") {
			return nil, fail("rename", *from, syscall.EINVAL, errors.New("into itself")) // the tree would have no way out of a circle
		}
		return []string{*from, *to}, nil
	}
}

// renameRefused is the errno of a rename that can't succeed, by what is known of the two names; 0 where it may.
func renameRefused(src *Node, srcState knowledge, dst *Node, dstState knowledge, noReplace bool) syscall.Errno {
	both := srcState == present && dstState == present
	switch {
	case srcState == absent:
		return syscall.ENOENT
	case noReplace && dstState == present:
		return syscall.EEXIST
	case both && dst.isDir() && !src.isDir():
		return syscall.EISDIR
	case both && src.isDir() && !dst.isDir():
		return syscall.ENOTDIR
	}
	return 0
}

// mayBeOneFile says whether two nodes may be one file, by a hard link that others have made: they look the same. Then a rename of the one onto
// the other leaves both names. Called with mu held.
func mayBeOneFile(a, b *Node) bool {
	return a != nil && b != nil && a != b && a.isReg() && b.isReg() && tellsAll(a.attr) && signatureOf(a.attr) == signatureOf(b.attr)
}

// move enters a rename in the tree. Called with mu held.
func (c *Cache) move(dir *Node, name string, newdir *Node, newname string) {
	n := c.child(dir, name)
	stays := mayBeOneFile(n, c.child(newdir, newname))
	if n != nil {
		c.pin(n)
		c.unname(n, dir, name)
		c.moves++
		n.moved = c.moves
		if n.isDir() {
			c.dirMoves++
		}
	}
	if stays {
		c.doubtName(dir, name)
	} else {
		if l := dir.dir.list; l != nil {
			l.remove(name)
		}
		c.absent(dir, name)
	}
	c.touched(dir)
	c.noteRemoved(newdir, newname)
	c.forgetName(newdir, newname)
	if n == nil {
		// Only the server knows what was moved: the new name is asked for when somebody wants it.
		delete(newdir.dir.missing, newname)
		c.distrust(newdir)
		c.touched(newdir)
		return
	}
	c.giveName(n, newdir, newname)
	c.changed(n)
	c.nameAdded(newdir, newname, n)
	c.unpin(n)
	c.retireIfUnheld(dir)
}

// lastMove is the number of the last rename of a node or of a directory above it; it grows with each. Called with mu held.
func (c *Cache) lastMove(n *Node) (last uint64) {
	for ; n != nil; n = n.parent {
		last = max(last, n.moved)
	}
	return last
}

// strayed says whether a rename may have crossed with a question about the path p of n, or of a name in n, so that the answer
// is about something else; since is lastMove(n) from before the question. One has, where it was entered in the tree since; or may have, where
// it is under way, and the answer is that there is no such name (absent). Then the question has to be put again, by the path of then. Called
// with mu held.
func (c *Cache) strayed(ctx context.Context, n *Node, since uint64, p string, absent bool) bool {
	return c.lastMove(n) != since || absent && c.queue.moving(ctx, p)
}
