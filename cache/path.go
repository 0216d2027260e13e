package cache

import (
	"context"
	"strings"
	"syscall"
)

// path is the path of a node on the server, as it will be when all changes under way are done; "" where the node has
// no name any more. Called with mu held.
func (c *Cache) path(n *Node) string {
	return c.climb(n, func(n *Node) (*Node, string) { return n.parent, n.name })
}

// serverPath is the path that a node has on the server now, while changes are under way (there.go). Called with mu held.
func (c *Cache) serverPath(n *Node) string {
	return c.climb(n, func(n *Node) (*Node, string) {
		p := n.serverPlace()
		return p.dir, p.name
	})
}

// climb joins the names from the root to a node; place gives the directory and the name of each.
func (c *Cache) climb(n *Node, place func(*Node) (*Node, string)) string {
	var names []string
	size := len(c.rootDir)
	for n != c.root {
		parent, name := place(n)
		if parent == nil {
			return ""
		}
		names = append(names, name)
		size += 1 + len(name)
		n = parent
	}
	if len(names) == 0 {
		return c.rootDir
	}
	var b strings.Builder
	b.Grow(size)
	if c.rootDir != "/" {
		b.WriteString(c.rootDir)
	}
	for i := len(names) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(names[i])
	}
	return b.String()
}

// pathOf is path, taking mu.
func (c *Cache) pathOf(n *Node) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.path(n)
}

// lastPath is path, or, where the node or a directory above it has lost its last name, the path that it had before; "" where that is not
// known. Called with mu held.
func (c *Cache) lastPath(n *Node) string {
	if p := c.path(n); p != "" {
		return p
	}
	below := ""
	for ; n.parent != nil; n = n.parent {
		below = "/" + n.name + below
	}
	if n.was == "" {
		return ""
	}
	return n.was + below
}

// lastPathOf is lastPath, taking mu.
func (c *Cache) lastPathOf(n *Node) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastPath(n)
}

// serverPathOf is serverPath, taking mu.
func (c *Cache) serverPathOf(n *Node) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.serverPath(n)
}

// join is the path of a name in a directory.
func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// parentPath is the directory that a path is in.
func parentPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// depth is the number of directories between a node and the root: 0 for what is in the root. Of several names it is the least,
// and same says whether all have the same. Called with mu held.
func (c *Cache) depth(n *Node) (least int, same bool) {
	count := func(dir *Node) (d int) {
		for ; dir != nil && dir != c.root; dir = dir.parent {
			d++
		}
		return d
	}
	least, same = count(n.parent), true
	for _, p := range n.also {
		d := count(p.dir)
		same = same && d == least
		least = min(least, d)
	}
	return least, same
}

// pathWait is the path of a node when the changes under way that concern it are done; ENOENT where it has no name.
func (c *Cache) pathWait(ctx context.Context, n *Node) (string, error) {
	return c.steady(ctx, func() (string, error) {
		p := c.path(n)
		if p == "" {
			return "", fail("find", "", syscall.ENOENT, nil)
		}
		return p, nil
	})
}

// steady waits for the changes under way that concern the path that locate gives, and returns the path as it is then. locate is called with mu
// held.
func (c *Cache) steady(ctx context.Context, locate func() (string, error)) (string, error) {
	ctx, stop := c.bounded(ctx)
	defer stop()
	for waited := ""; ; {
		c.mu.Lock()
		p, err := locate()
		c.mu.Unlock()
		if err != nil || p == waited {
			return p, err
		}
		if waited != "" { // a rename has overtaken it
			var end func()
			ctx, end = c.insist(ctx)
			defer end()
		}
		if err := c.queue.wait(ctx, p); err != nil {
			return "", withErrno("find", p, err)
		}
		waited = p // one of these changes may have been a rename above it: then it is another path now
	}
}

// childPath is pathWait for a name in a directory, which is checked (namePath).
func (c *Cache) childPath(ctx context.Context, dir *Node, name string) (string, error) {
	return c.steady(ctx, func() (string, error) { return c.namePath(dir, name) })
}

// namePath is the path of a name in a directory. It refuses names and paths that may not be sent to a server. Called with mu held.
func (c *Cache) namePath(dir *Node, name string) (string, error) {
	if err := checkName(name); err != 0 {
		return "", fail("find", name, err, nil)
	}
	if !dir.isDir() {
		return "", fail("find", name, syscall.ENOTDIR, nil)
	}
	p := c.path(dir)
	if p == "" {
		return "", fail("find", name, syscall.ENOENT, nil)
	}
	p = join(p, name)
	if len(p) > maxPath {
		return "", fail("find", name, syscall.ENAMETOOLONG, nil)
	}
	return p, nil
}

// checkName says why a name may not be sent to a server; 0 where it may.
func checkName(name string) syscall.Errno {
	switch {
	case len(name) > maxName:
		return syscall.ENAMETOOLONG
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return syscall.EINVAL
	}
	return 0
}

// waitForChangesAt waits for the changes under way that concern a path, as long as ctx and the line allow.
func (c *Cache) waitForChangesAt(ctx context.Context, p string) error {
	ctx, stop := c.bounded(ctx)
	defer stop()
	return c.queue.wait(ctx, p)
}
