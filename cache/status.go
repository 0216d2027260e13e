package cache

import "time"

// Status is what `sshmount status` tells of the cache.
type Status struct {
	Names         int           // nodes in the tree
	Listed        int           // names in listings
	OpenFiles     int           // handles that are open
	CleanBytes    int64         // memory for what was read and read ahead
	UnsavedBytes  int64         // bytes that are not acknowledged
	UnsavedCount  int           // files with such bytes
	UnsavedFiles  []UnsavedFile // the first maxUnsavedListed of them
	UnsavedOps    int           // changes of names and attributes that are under way
	OldestUnsaved time.Time     // when the oldest of the bytes was written; zero where all are saved
	Errors        []string      // since the last Sync; of bytes that are lost also where a close or fsync was told
	Rescued       []string      // files with rescued bytes, and why
	PrefetchHits  uint64        // files that were opened and had been fetched or looked at ahead
	PrefetchMiss  uint64        // files that were fetched or looked at ahead in vain
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
