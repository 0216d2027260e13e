package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
)

// maxLinksAhead is how many links of a directory have their targets asked for in one flight.
const maxLinksAhead = 1000

// Readlink gives the target of a symbolic link, as programs may follow it; EPERM where it leads out of the mount. The first question in a
// listed directory asks for the targets of all its links in one flight; of more than maxLinksAhead, a later question asks for as many again.
func (c *Cache) Readlink(ctx context.Context, n *Node) (string, error) {
	c.mu.Lock()
	if n.link != nil && c.valid(n) && c.holds(n.link, n) {
		target := n.link.text
		at := c.standing(n)
		c.mu.Unlock()
		return c.contained(n, target, at)
	}
	c.mu.Unlock()
	p, err := c.pathWait(ctx, n)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	siblings, paths := c.linksBeside(n)
	moved, asked := c.lastMove(n), c.serverNow()
	c.mu.Unlock()
	targets, errs := c.conn.Readlinks(ctx, append([]string{p}, paths...))
	err = withErrno("readlink", p, errs[0])
	c.mu.Lock()
	now := c.path(n)
	strayed := now != "" && now != p || c.strayed(ctx, n, moved, p, errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR))
	for i, s := range siblings {
		if errs[i+1] == nil && s.isLink() && !strayed {
			s.link = &target{targets[i+1], c.lastMove(s), sameSecond(s.attr.Mtime, asked)}
		}
		c.unpin(s)
	}
	switch {
	case strayed:
	case err == nil:
		n.link = &target{targets[0], moved, sameSecond(n.attr.Mtime, asked)}
	default:
		n.expire() // it may not be a link any more, or not be there
	}
	at := c.standing(n)
	c.mu.Unlock()
	switch {
	case strayed:
		ctx, end := c.insist(ctx)
		defer end()
		return c.Readlink(ctx, n)
	case err != nil:
		return "", err
	}
	return c.contained(n, targets[0], at)
}

// target is where a symbolic link leads.
type target struct {
	text  string
	moved uint64 // lastMove of the link when it was asked for
	racy  bool   // another link that was put in its place since might look the same (as version.racy)
}

// holds says whether the server would still tell the same target. Some servers make absolute targets of relative ones: these tell another
// one after a rename of the link, or of a directory above it. Called with mu held.
func (c *Cache) holds(t *target, n *Node) bool {
	return !strings.HasPrefix(t.text, "/") || t.moved == c.lastMove(n)
}

// linksBeside gives the next links in a node's directory whose targets were not asked for yet and are not known, each pinned, and their paths;
// none where the listing is not known. Called with mu held.
func (c *Cache) linksBeside(n *Node) (nodes []*Node, paths []string) {
	if n.parent == nil || c.o.NoPrefetch {
		return nil, nil
	}
	l := n.parent.dir.list
	if l == nil || !l.whole() || l.until <= c.now() {
		return nil, nil
	}
	dir := c.path(n.parent)
	if dir == "" {
		return nil, nil
	}
	for ; l.linksTo < l.ents.len() && len(nodes) < maxLinksAhead; l.linksTo++ {
		e := l.ents.at(l.linksTo)
		if e.gone || !e.isLink() || e.name == n.name {
			continue
		}
		s, _, state := c.peek(n.parent, e.name)
		if state != present || s.link != nil || !s.isLink() {
			continue
		}
		c.pin(s)
		nodes = append(nodes, s)
		paths = append(paths, join(dir, e.name))
	}
	return nodes, paths
}

// standing is where a link stands in the tree.
type standing struct {
	depth int      // the number of directories between it and the root, the least of its names
	same  bool     // all of its names are equally deep
	dirs  []string // the names of these directories, from the root on; nil where it has several names
}

// standing is where a link stands in the tree. Called with mu held.
func (c *Cache) standing(n *Node) (at standing) {
	at.depth, at.same = c.depth(n)
	if len(n.also) > 0 {
		return at
	}
	for dir := n.parent; dir != nil && dir != c.root; dir = dir.parent {
		at.dirs = append(at.dirs, dir.name)
	}
	slices.Reverse(at.dirs)
	return at
}

// relative gives the shortest way from the link to inside, a path below the root. Some servers (ProFTPD) tell all targets as absolute ones.
// Mostly the shortest way is what was stored, and what a program that has made the link compares with.
func (at standing) relative(inside string) string {
	parts := strings.Split(inside, "/")
	shared := 0
	for shared < min(len(at.dirs), len(parts)-1) && parts[shared] == at.dirs[shared] {
		shared++
	}
	return cmp.Or(strings.Repeat("../", at.depth-shared)+strings.Join(parts[shared:], "/"), ".")
}

// contained turns the target of n into one that stays inside the mount, or refuses it with EPERM, as the options say. An absolute target can't
// be made relative where n has several names that are not equally deep.
func (c *Cache) contained(n *Node, target string, at standing) (string, error) {
	if inside, ok := c.insideRoot(target); ok && at.same && (!c.o.FreeSymlinks || c.o.TransformSymlinks) {
		return at.relative(inside), nil
	}
	if c.o.FreeSymlinks || staysInside(target, at.depth) {
		return target, nil
	}
	c.warnLink.Do(func() {
		c.log.Warn("a symbolic link leads out of the mount and is not followed; "+
			"no_contain_symlinks hands such links on as they are, follow_symlinks has the server follow them, "+
			"transform_symlinks and contain_symlinks (the default) rewrite absolute ones inside the remote directory",
			"link", c.pathOf(n), "target", target)
	})
	return "", fail("readlink", c.pathOf(n), syscall.EPERM, errors.New("the link leads out of the mount (see no_contain_symlinks)"))
}

// insideRoot gives the part of an absolute target behind the root, where the target is inside. The root is known by its path on the server,
// and by the path at which programs here see it (Options.SeenAt), which they store in links. Where one of these is inside the other the
// longer one counts.
func (c *Cache) insideRoot(target string) (string, bool) {
	roots := []string{c.rootDir, c.o.SeenAt}
	if len(c.o.SeenAt) > len(c.rootDir) {
		slices.Reverse(roots)
	}
	for _, root := range roots {
		if rest, ok := behind(root, target); ok {
			return rest, true
		}
	}
	return "", false
}

// behind gives the part of an absolute target behind the directory root, "." for root itself. False where the target is outside, or has ".."
// in it: where that leads can't be told here.
func behind(root, target string) (string, bool) {
	if root == "" || target == "" || target[0] != '/' {
		return "", false
	}
	rest := target
	if root != "/" {
		var ok bool
		if rest, ok = strings.CutPrefix(target, root); !ok || rest != "" && rest[0] != '/' {
			return "", false
		}
	}
	rest = strings.TrimLeft(rest, "/")
	if slices.Contains(strings.Split(rest, "/"), "..") {
		return "", false
	}
	return cmp.Or(rest, "."), true
}

// staysInside says whether a target is relative and can't leave the mount: it has ".." only in front, and no more of them than depth, the
// number of directories between the link and the root.
func staysInside(target string, depth int) bool {
	if target == "" || target[0] == '/' {
		return false
	}
	ups, named := 0, false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if ups++; named || ups > depth {
				return false
			}
		default:
			named = true
		}
	}
	return true
}
