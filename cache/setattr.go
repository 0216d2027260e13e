package cache

import (
	"context"
	"math/bits"
	"syscall"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// SetAttr are attributes that a program wants to set; nil leaves one as it is.
type SetAttr struct {
	Mode         *uint32    // permission bits; others are left out
	UID, GID     *uint32    // the remote side's ids
	Size         *uint64    // bytes, below 1<<63
	Atime, Mtime *time.Time // rounded down to seconds, from 1970 to 2106
}

// Setattr sets attributes, all in one request, and gives those of the node after it, with how long they may be trusted. h is a handle of the
// node, or nil. Errors among others: EPERM for who does not own the file, ESTALE where the kernel has to look the name up again, EOPNOTSUPP
// for what the server can't set.
func (c *Cache) Setattr(ctx context.Context, n *Node, h *Handle, s SetAttr) (Attr, time.Duration, error) {
	if s.Size != nil && *s.Size >= 1<<63 {
		return Attr{}, 0, fail("setattr", "", syscall.EFBIG, nil)
	}
	if err := c.sureOfNames(ctx, n); err != nil && h == nil { // with a handle the request goes by that, or by a name that is left
		return Attr{}, 0, err
	}
	a, err := c.wish(ctx, n, h, s)
	if err == nil {
		a, err = c.ofLink(n, a)
	}
	if err != nil {
		return Attr{}, 0, err
	}
	switch {
	case a.Flags == 0 || c.asMade(n, a):
		return c.Getattr(ctx, n, h)
	case a.Flags&session.HasSize != 0:
		err = c.truncate(ctx, n, h, a)
	default:
		err = c.setOthers(ctx, n, h, a)
	}
	if err != nil {
		return Attr{}, 0, err
	}
	// What else has changed, as the mtime by a truncation, is asked for when somebody wants to know it.
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tell(n), c.attrTTL(n), nil
}

// asMade says whether the wish a is for the mode and the owner that something made here a moment ago has got from the server: tar and cp ask for
// what they have just got.
func (c *Cache) asMade(n *Node, a session.Attr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.ours <= c.now() || a.Flags&^(session.HasMode|session.HasOwner) != 0 {
		return false
	}
	if n.attr.Mode&(syscall.S_ISUID|syscall.S_ISGID) != 0 {
		return false // a chown may clear them
	}
	return (a.Flags&session.HasMode == 0 || a.Mode == n.attr.Mode&0o7777) &&
		(a.Flags&session.HasOwner == 0 || a.UID == n.attr.UID && a.GID == n.attr.GID)
}

// ofLink takes out of a wish for a symbolic link what a server without lsetstat@openssh.com can't set. Times count as set, as on file systems
// that keep none for links: cp -a and rsync -a would fail at each link otherwise. Any other change is EOPNOTSUPP; without that extension
// the server would change what the link leads to.
func (c *Cache) ofLink(n *Node, a session.Attr) (session.Attr, error) {
	c.mu.Lock()
	link, now := n.isLink(), n.attr
	c.mu.Unlock()
	if !link || a.Flags&session.HasSize != 0 || c.conn.Has("lsetstat@openssh.com") {
		return a, nil
	}
	if a.Flags&session.HasTimes != 0 {
		c.warnTimes.Do(func() {
			c.log.Warn("the server can't set the times of symbolic links (it has no lsetstat@openssh.com): they keep those of their making", "link", c.pathOf(n))
		})
	}
	a.Flags &^= session.HasTimes
	if a.UID == now.UID && a.GID == now.GID {
		a.Flags &^= session.HasOwner
	}
	if a.Flags != 0 {
		return a, fail("setattr", c.pathOf(n), syscall.EOPNOTSUPP, sftpconn.ErrUnsupported)
	}
	return a, nil
}

// wish turns a SetAttr into SFTP's attributes. These carry both ids or none, and both times or none: a half that is to stay is filled in from
// what is known, or asked for.
func (c *Cache) wish(ctx context.Context, n *Node, h *Handle, s SetAttr) (session.Attr, error) {
	var a session.Attr
	c.mu.Lock()
	known := c.valid(n)
	if s.Atime != nil && s.Mtime == nil {
		known = known && !n.mtimeGuessed && !n.mtimeUnknown()
	}
	c.mu.Unlock()
	halves := (s.UID == nil) != (s.GID == nil) || (s.Atime == nil) != (s.Mtime == nil)
	if halves && !known {
		if err := c.refresh(ctx, n, h); err != nil {
			return a, err
		}
	}
	c.mu.Lock()
	now := c.shown(n)
	c.mu.Unlock()
	if s.Mode != nil {
		a.Flags |= session.HasMode
		a.Mode = *s.Mode & 0o7777
	}
	if s.Size != nil {
		a.Flags |= session.HasSize
		a.Size = *s.Size
	}
	if s.UID != nil || s.GID != nil {
		a.Flags |= session.HasOwner
		a.UID, a.GID = now.UID, now.GID
		if s.UID != nil {
			a.UID = *s.UID
		}
		if s.GID != nil {
			a.GID = *s.GID
		}
	}
	if s.Atime != nil || s.Mtime != nil {
		a.Flags |= session.HasTimes
		a.Atime, a.Mtime = seconds(now.Atime), seconds(now.Mtime)
		if s.Atime != nil {
			a.Atime = seconds(s.Atime.Unix())
		}
		if s.Mtime != nil {
			a.Mtime = seconds(s.Mtime.Unix())
		}
	}
	return a, nil
}

// seconds is a time, in seconds since 1970, within SFTP v3's 32 bits: 1970 to 2106.
func seconds(t int64) uint32 { return uint32(min(max(t, 0), 1<<32-1)) }

// timesFirst waits until times that were set for a node are set on the server, too (-o async). Bytes don't pass the queue, and would arrive
// before them.
func (c *Cache) timesFirst(ctx context.Context, n *Node) error {
	c.mu.Lock()
	sent := n.sentTimes > 0
	c.mu.Unlock()
	if !sent {
		return nil
	}
	return c.waitForChanges(ctx, n, "write")
}

// waitForChanges waits for the changes under way that concern a node. It comes before a request that has no turn among the changes where the
// node has no path any more: so that overtakes none that was there before.
func (c *Cache) waitForChanges(ctx context.Context, n *Node, op string) error {
	ctx, stop := c.bounded(ctx)
	defer stop()
	c.mu.Lock()
	p := c.path(n)
	if p == "" {
		p = c.serverPath(n) // what takes its name away is under way itself
	}
	keys := n.queueKey()
	if p != "" {
		keys = append(keys, p)
	}
	c.mu.Unlock()
	for _, key := range keys {
		if err := c.queue.wait(ctx, key); err != nil {
			return withErrno(op, p, err)
		}
	}
	return nil
}

// justWritten is for how long after its last acknowledgement the content of a file is taken to be still what was written here, when its times
// are set: unzip and rsync set them when they have closed the file.
const justWritten = time.Second

// setOthers is Setattr for a wish without a size.
func (c *Cache) setOthers(ctx context.Context, n *Node, h *Handle, a session.Attr) error {
	if a.Flags == session.HasTimes && c.timesBehind(n, a) {
		return nil
	}
	c.mu.Lock()
	fs := n.file
	c.mu.Unlock()
	if fs != nil {
		if err := c.bytesBefore(ctx, fs, a); err != nil {
			return withErrno("setattr", c.pathOf(n), err)
		}
	}
	fresh := fs != nil && time.Since(fs.data.LastAck()) < justWritten
	p := c.pathOf(n)
	ch := change{
		op: "setattr", node: n, times: a.Flags&session.HasTimes != 0,
		predict: func(*change) { c.othersSet(n, a, fresh) },
		enter: func(err error) {
			if err == nil {
				c.othersSet(n, a, fresh)
			}
		},
	}
	if c.o.Async && p != "" {
		ch.sure = c.surelyTaken(n, a)
		ch.still = func() bool { return c.path(n) != "" }
		ch.locate = func() ([]string, error) {
			if p = c.path(n); p == "" {
				return nil, nil
			}
			paths := []string{p}
			if at := c.serverPath(n); at != p {
				paths = append(paths, at) // of several names the server may still have one that is being taken away
			}
			return append(paths, n.queueKey()...), nil
		}
		ch.run = func(ctx context.Context) error {
			return c.whyNotStored(ctx, "setattr", p, c.sendInTurn(ctx, n, h, a, p))
		}
	} else {
		if err := c.waitForChanges(ctx, n, "setattr"); err != nil {
			return err
		}
		ch.locate = c.locateNode(&p, n)
		ch.run = func(ctx context.Context) error { return c.whyNotStored(ctx, "setattr", p, c.send(ctx, n, h, a, p)) }
	}
	if _, err := c.submitSure(ctx, ch); err != nil {
		c.refusedInPart(n, a)
		return c.byAName(ctx, n, withErrno("setattr", p, err))
	}
	return nil
}

// bytesBefore has the bytes of a file that wait here sent before the attributes a are. Where the bytes would undo these it waits for the answers
// as well: a write changes the mtime, and clears set-user-ID and set-group-ID bits.
func (c *Cache) bytesBefore(ctx context.Context, fs *fileState, a session.Attr) error {
	if a.Flags&session.HasTimes == 0 && a.Mode&(syscall.S_ISUID|syscall.S_ISGID) == 0 {
		fs.data.Push() // a close that follows has less to wait for
		return nil
	}
	ctx, stop := c.conn.Bounded(ctx)
	defer stop()
	return fs.data.Flushed(ctx)
}

// refusedInPart has the next question about a node go to the server after a wish for several attributes has failed: the server sets one after
// the other, and may have set some.
func (c *Cache) refusedInPart(n *Node, a session.Attr) {
	if bits.OnesCount32(a.Flags) < 2 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed(n)
	n.expire()
}

// surelyTaken says whether the server will surely set the attributes a: the file is the user's, as far as the server has told, however long ago,
// and nothing puts that in doubt. Only root may give a file away. cp -a and mv try to, and go on when they are refused, so they need
// the server's own answer.
func (c *Cache) surelyTaken(n *Node, a session.Attr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.owner
	switch {
	case n.until == 0:
		return false
	case o.uidKnown && o.uid == 0:
		return true
	case a.Flags&session.HasOwner != 0 && (a.UID != n.attr.UID || a.GID != n.attr.GID):
		return false
	}
	return !o.uidKnown || o.uid == n.attr.UID
}
