package cache

import (
	"context"
	"io"
	"maps"
	"slices"
	"syscall"
	"time"
)

// DirHandle is an open directory. It has no position of its own: Next is told where to read. Its methods may be called from several
// goroutines.
type DirHandle struct {
	c      *Cache
	n      *Node
	opened int64 // when it was opened (Cache.now)

	// Guarded by Cache.mu.
	list *listing
	// end is where the listing ended when it was first seen whole; -1 before that. Names that are made here later are not shown: a
	// program that makes a name for each that it reads would never come to an end.
	end int
}

// DirEntry is one name in a directory. "." and ".." are the first two.
type DirEntry struct {
	Name string
	Ino  uint64
	Mode uint32 // the type, in the bits of S_IFMT; 0 where only a look-up can tell
	Off  uint64 // the offset of the next entry
}

// OpenDir opens a directory. Where its listing is not known it is fetched. The first answer of the server is
// waited for, so that opendir(3) fails where the server refuses.
func (c *Cache) OpenDir(ctx context.Context, n *Node) (*DirHandle, error) {
	if !n.isDir() {
		return nil, fail("opendir", "", syscall.ENOTDIR, nil)
	}
	d := &DirHandle{c: c, n: n, opened: c.now()}
	c.mu.Lock()
	c.pin(n)
	c.take(d)
	c.noteWalked(n, false)
	c.mu.Unlock()
	if err := d.wait(ctx, 0); err != nil && err != io.EOF {
		d.Release()
		return nil, err
	}
	return d, nil
}

// take gives the handle the listing that is trusted now, or a new one. Called with mu held.
func (c *Cache) take(d *DirHandle) {
	l := d.n.dir.list
	switch {
	case l != nil && !l.done && c.timeout > 0:
	case l != nil && l.whole() && l.until > c.now():
		c.lists.Get(d.n.id)
	case d.n.parent == nil && d.n != c.root:
		// The directory was removed: it has no names any more.
		l = &listing{index: map[string]int32{}, done: true, more: closedChan}
	default:
		l = c.startListing(d.n)
	}
	l.users++
	d.list, d.end = l, -1
	d.seeEnd()
}

// seeEnd notes the end of the listing, once that is whole. Called with mu held.
func (d *DirHandle) seeEnd() {
	if d.end < 0 && d.list.whole() {
		d.end = d.list.ents.len()
	}
}

// wait returns when entry i of the listing is there and not in doubt; io.EOF where the listing ends before it.
func (d *DirHandle) wait(ctx context.Context, i int) error {
	ctx, stop := d.c.bounded(ctx)
	defer stop()
	for {
		d.c.mu.Lock()
		l := d.list
		d.seeEnd()
		over := d.end >= 0 && i >= d.end
		have, done, err, more := i < l.ents.len() && !l.ents.at(i).doubt, l.done, l.err, l.more
		d.c.mu.Unlock()
		switch {
		case over:
			return io.EOF
		case have:
			return nil
		case done && err != nil:
			return err
		case done:
			return io.EOF
		}
		if err := await(ctx, more); err != nil {
			return withErrno("list", "", err)
		}
	}
}

// Next gives the entry at off, which is 0 for the first and DirEntry.Off for the next. It waits until the listing has come that far. The
// error is io.EOF at the end.
func (d *DirHandle) Next(ctx context.Context, off uint64) (DirEntry, error) {
	if off < 2 {
		d.c.mu.Lock()
		defer d.c.mu.Unlock()
		e := DirEntry{Name: ".", Ino: d.n.id, Mode: syscall.S_IFDIR, Off: off + 1}
		if off == 1 {
			e.Name = ".."
			if d.n.parent != nil {
				e.Ino = d.n.parent.id
			}
		}
		return e, nil
	}
	if off > 1<<31 {
		return DirEntry{}, io.EOF
	}
	for i := int(off - 2); ; i++ {
		if err := d.wait(ctx, i); err != nil {
			return DirEntry{}, err
		}
		d.c.mu.Lock()
		if i >= d.list.ents.len() {
			d.c.mu.Unlock()
			return DirEntry{}, io.EOF // the handle was rewound meanwhile, to a shorter listing
		}
		e := *d.list.ents.at(i)
		if !e.gone {
			if n := d.c.child(d.n, e.name); n != nil {
				e.ino, e.attr.Mode = n.id, n.attr.Mode
			} else if d.c.o.FollowSymlinks && e.isLink() {
				e.attr.Mode = 0 // only a look-up tells the type of what it leads to
			}
			d.c.mu.Unlock()
			return DirEntry{Name: e.name, Ino: e.ino, Mode: e.attr.Mode & syscall.S_IFMT, Off: uint64(i) + 3}, nil
		}
		d.c.mu.Unlock()
	}
}

// foundMost is for how many entries of a listing Found hands out references. The kernel keeps each for as long as it has memory, also where
// the program wants no more than the name; and each costs a node here, which takes twice the memory of an entry. A very long listing would
// fill the memory. The attributes of further entries have to be asked for one by one, and are answered from the listing. A variable for the
// tests.
var foundMost uint64 = 200_000

// Found gives the node and the attributes of an entry, for READDIRPLUS, with a reference and with no question to the server. ok is false where
// there is nothing to hand out: for "." and "..", a name that is gone meanwhile, attributes that are not trusted any more, and far into a
// very long listing.
func (d *DirHandle) Found(e DirEntry) (f Found, ok bool) {
	if e.Off < 3 || e.Off-3 >= foundMost {
		return Found{}, false
	}
	c := d.c
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _, state := c.peek(d.n, e.Name)
	if state != present || n.mtimeGuessed || n.id != e.Ino || n.file != nil && n.file.pages.mustForget {
		return Found{}, false
	}
	return c.foundAt(n, place{d.n, e.Name}), true
}

// maxOwners is how many entries Owners looks at: more than fit into one reply to the kernel.
const maxOwners = 2000

// Owners gives the users and the groups, each once, of e and of the entries behind it that are there already, of maxOwners entries at most. to
// is the Off of the last of them.
func (d *DirHandle) Owners(e DirEntry) (uids, gids []uint32, to uint64) {
	if e.Off < 3 {
		return nil, nil, e.Off
	}
	c := d.c
	c.mu.Lock()
	defer c.mu.Unlock()
	first := min(int(e.Off-3), d.list.ents.len())
	last := min(first+maxOwners, d.list.ents.len())
	users, groups := map[uint32]struct{}{}, map[uint32]struct{}{}
	for i := first; i < last; i++ {
		ent := d.list.ents.at(i)
		a := ent.attr
		if n := c.child(d.n, ent.name); n != nil {
			a = n.attr
		}
		users[a.UID], groups[a.GID] = struct{}{}, struct{}{}
	}
	return slices.Collect(maps.Keys(users)), slices.Collect(maps.Keys(groups)), max(uint64(last)+2, e.Off)
}

// justOpened is how long after opendir(3) the first readdir(3) may show the listing that was found by the opening, whatever the timeouts.
const justOpened = time.Second

// Begin is to be called before the first Next(0): names that were made or removed since the opening are shown as well, and a listing that
// is too old by now, or not kept up to date any more, is fetched anew.
func (d *DirHandle) Begin() {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	now := d.c.now()
	old := d.list.done && d.list.until <= now && now-d.opened > int64(justOpened)
	if old || d.list != d.n.dir.list {
		d.list.users--
		d.c.take(d)
		return
	}
	d.end = -1
	d.seeEnd()
}

// Rewind is to be called before a further Next(0), which shows the directory as it is then (rewinddir(3)).
func (d *DirHandle) Rewind() {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	d.list.users--
	d.c.take(d)
}

// Release ends the handle.
func (d *DirHandle) Release() {
	d.c.mu.Lock()
	d.list.users--
	d.c.mu.Unlock()
	d.c.release(d.n)
}

// Fsyncdir waits for the changes under way in a directory and below it, and returns the errors of those that have failed after they were
// answered, joined, each once.
func (c *Cache) Fsyncdir(ctx context.Context, n *Node) error {
	ctx, stop := c.bounded(ctx)
	defer stop()
	if p := c.pathOf(n); p != "" {
		if err := c.queue.waitUnder(ctx, p); err != nil {
			return withErrno("fsync", p, err)
		}
	}
	return c.failures(n)
}
