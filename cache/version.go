package cache

import (
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// signature is what tells the contents that a file has had one from another. SFTP has nothing better: those of one length and one second
// have the same.
type signature struct {
	size  uint64 // bytes
	mtime uint32 // seconds since 1970, on the server's clock
}

func signatureOf(a session.Attr) signature { return signature{a.Size, a.Mtime} }

// version is the content of a file at a time. Guarded by Cache.mu.
type version struct {
	known bool // the signature is its; else what is held may be of any, and the signature is that of what was known last
	signature
	racy bool // a change made elsewhere since then might not show in the signature: the next open reads the file again
	own  bool // it is what writes made here have left
}

// is says whether a file with these attributes has this version, for all that they tell.
func (v *version) is(a session.Attr) bool { return v.known && v.signature == signatureOf(a) }

// cheapAgain is the size, in bytes, up to which a file is read again for nothing: within the flight of its opening, at any distance.
const cheapAgain = sftpconn.HeadNear

// mark notes of which version of a file the clean bytes are. One that came about in the second in which it was looked at (looked, on the
// server's clock, in seconds since 1970) may have another behind it with the same mtime. Called with mu held.
func (f *fileState) mark(of signature, looked int64) {
	f.version = version{known: true, signature: of, racy: sameSecond(of.mtime, looked)}
	f.written.hides = false
}

// sameSecond says whether what has this mtime may have been changed since it was looked at, without a change of its mtime.
func sameSecond(mtime uint32, looked int64) bool { return looked-int64(mtime) < 2 }

// markOwn is mark for a version that came about here, when the last bytes were written. What was just written is read again only where
// that costs no round trip: others rarely change a file in the same second, and a build reads what it has written. The handles take the
// version over, as they must find it again after a reconnect: those, too, that are closed and have still to deliver what was written
// through them, or to learn what has become of it. Called with mu held.
func (c *Cache) markOwn(f *fileState, of signature) {
	written := c.serverNow()
	if at := f.data.LastWrite(); !at.IsZero() {
		written -= int64(time.Since(at).Seconds())
	}
	hides := f.written.hides
	f.mark(of, written)
	f.version.own, f.written.hides = true, hides
	f.version.racy = f.version.racy && of.size <= cheapAgain || hides
	for _, handles := range []map[*Handle]struct{}{f.handles, f.writing} {
		for h := range handles {
			if h.content != of {
				h.unsure = true
				h.former, h.content = h.content, of
			}
		}
	}
}

// good says whether the bytes held here are those of a file with these attributes, for all that can be told. Called with mu held.
func (f *fileState) good(a session.Attr) bool {
	return f.version.is(a) && !f.version.racy && !f.data.Short()
}
