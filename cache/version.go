package cache

import (
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// version is one of the contents that a file on the server has had, as far as SFTP can tell one from another: by size and mtime, in
// whole seconds. Guarded by Cache.mu.
type version struct {
	known bool // size and mtime tell it; else what is held may be of any, and they are what was known last
	size  uint64
	mtime uint32
	racy  bool // a change made elsewhere since then might not show in size and mtime: the next open reads the file again
	own   bool // it is what writes made here have left
}

// is says whether a file with these attributes has this version, for all that they tell.
func (v *version) is(a session.Attr) bool { return v.known && v.size == a.Size && v.mtime == a.Mtime }

// cheapAgain is the size, in bytes, up to which a file is read again for nothing: within the flight of its opening, at any distance.
const cheapAgain = sftpconn.HeadNear

// mark notes of which version of a file the clean bytes are. One that came about in the second in which it was looked at (looked, on the
// server's clock, in seconds since 1970) may have another behind it with the same mtime. Called with mu held.
func (f *fileState) mark(size uint64, mtime uint32, looked int64) {
	f.version = version{known: true, size: size, mtime: mtime, racy: looked-int64(mtime) < 2}
	f.written.hides = false
}

// markOwn is mark for a version that came about here, when the last bytes were written. What was just written is read again only where
// that costs no round trip: others rarely change a file in the same second, and a build reads what it has written. The open handles take
// the version over, as they must find it again after a reconnect. Called with mu held.
func (c *Cache) markOwn(f *fileState, size uint64, mtime uint32) {
	written := c.serverNow()
	if at := f.data.LastWrite(); !at.IsZero() {
		written -= int64(time.Since(at).Seconds())
	}
	hides := f.written.hides
	f.mark(size, mtime, written)
	f.version.own, f.written.hides = true, hides
	f.version.racy = f.version.racy && size <= cheapAgain || hides
	for h := range f.handles {
		if h.size != size || h.mtime != mtime {
			h.unsure = true
			h.formerSize, h.formerMtime = h.size, h.mtime
			h.size, h.mtime = size, mtime
		}
	}
}

// good says whether the bytes held here are those of a file with these attributes, for all that can be told. Called with mu held.
func (f *fileState) good(a session.Attr) bool {
	return f.version.is(a) && !f.version.racy && !f.data.Short()
}
