package cache

// disk is a file system of the server, as far as renames have shown which directories are on it. Another one may be mounted on any
// directory, and mv(1) copies what it can't rename. So with -o async a rename is answered beforehand only where earlier ones have shown that
// both directories are on one disk. Guarded by Cache.mu.
type disk struct {
	is    *disk // the disk that this one has turned out to be; nil where it has not
	links bool  // it has hard links: the server has made one on it
}

// sameDisk says whether two directories are known to be on one file system. Called with mu held.
func sameDisk(a, b *Node) bool {
	a, b = diskTop(a), diskTop(b)
	return a == b || a.dir.disk != nil && b.dir.disk != nil && a.dir.disk.found() == b.dir.disk.found()
}

// joinDisks notes that two directories are on one file system. Called with mu held.
func joinDisks(a, b *Node) {
	if x, y := diskOf(a), diskOf(b); x != y {
		x.is = y
		y.links = y.links || x.links
	}
}

// hasLinks says whether the file system of a directory is known to have hard links. Called with mu held.
func hasLinks(dir *Node) bool {
	d := diskTop(dir).dir.disk
	return d != nil && d.found().links
}

// diskOf is the disk of a directory. Called with mu held.
func diskOf(dir *Node) *disk {
	top := diskTop(dir).dir
	if top.disk == nil {
		top.disk = new(disk)
	}
	return top.disk.found()
}

// diskTop is the nearest directory, dir or above it, that was not made here: what was made here is on the same file system.
func diskTop(dir *Node) *Node {
	for dir.dir.made && dir.parent != nil {
		dir = dir.parent
	}
	return dir
}

// found is the disk that d has turned out to be (union-find). It shortens the way there, which grows with each joinDisks.
func (d *disk) found() *disk {
	for d.is != nil {
		if d.is.is != nil {
			d.is = d.is.is
		}
		d = d.is
	}
	return d
}
