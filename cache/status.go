package cache

import "time"

// Status is what `sshmount status` tells of the cache.
type Status struct {
	Names         int // nodes in the tree
	Listed        int // names in listings
	OpenFiles     int
	CleanBytes    int64
	UnsavedBytes  int64
	UnsavedCount  int           // files with bytes that are not acknowledged
	UnsavedFiles  []UnsavedFile // the first 100 of them
	UnsavedOps    int
	OldestUnsaved time.Time // zero where nothing is unsaved
	Errors        []string  // since the last Sync; of bytes not delivered also where a close or fsync was told
	Rescued       []string  // files with rescued bytes, and why
	PrefetchHits  uint64    // files opened that had been fetched ahead
	PrefetchMiss  uint64    // files fetched ahead in vain
}

// UnsavedFile is a file with bytes that the server has not acknowledged.
type UnsavedFile struct{ Path string }

// maxUnsavedListed bounds Status.UnsavedFiles.
const maxUnsavedListed = 100

// Status of this moment. It asks the server for nothing.
func (c *Cache) Status() Status {
	stats := c.pool.Stats()
	s := Status{
		CleanBytes: stats.Clean, UnsavedBytes: stats.Dirty, OldestUnsaved: stats.OldestDirty,
		UnsavedOps: int(c.queue.count.Load()), Errors: c.errs.lines(), Rescued: c.rescue.list(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Names, s.Listed, s.OpenFiles = len(c.nodes), c.listed, c.openFiles
	s.PrefetchHits, s.PrefetchMiss = c.scan.hits, c.scan.misses
	if stats.Dirty > 0 {
		for _, n := range c.nodes {
			if n.file == nil {
				continue
			}
			if _, dirty := n.file.data.Size(); !dirty {
				continue
			}
			s.UnsavedCount++
			if len(s.UnsavedFiles) < maxUnsavedListed {
				s.UnsavedFiles = append(s.UnsavedFiles, UnsavedFile{Path: c.nameOf(n)})
			}
		}
	}
	return s
}
