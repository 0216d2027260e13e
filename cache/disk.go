package cache

// disk is a file system of the server, as far as renames have shown which directories are on it. Another one may be mounted on any
// directory, and mv(1) copies what it can't rename. So with -o async a rename is answered beforehand only where earlier ones have shown that
// both directories are on one disk. Guarded by Cache.mu.
type disk struct{ is *disk } // the disk that this one has turned out to be; nil where it has not

// sameDisk says whether two directories are known to be on one file system. Called with mu held.
func sameDisk(a, b *Node) bool {
	a, b = diskTop(a), diskTop(b)
	return a == b || a.dir.disk != nil && b.dir.disk != nil && a.dir.disk.found() == b.dir.disk.found()
}

// joinDisks notes that two directories are on one file system. Called with mu held.
func joinDisks(a, b *Node) {
	a, b = diskTop(a), diskTop(b)
	if a == b {
		return
	}
	for _, dir := range []*Node{a, b} {
		if dir.dir.disk == nil {
			dir.dir.disk = new(disk)
		}
	}
	if x, y := a.dir.disk.found(), b.dir.disk.found(); x != y {
		x.is = y
	}
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
