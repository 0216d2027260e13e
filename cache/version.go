package cache

import (
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// signature tells contents of a file apart. SFTP has nothing better: contents of the same length and the same second have the same signature.
type signature struct {
	size  uint64 // bytes
	mtime uint32 // seconds since 1970, on the server's clock
}

func signatureOf(a session.Attr) signature { return signature{a.Size, a.Mtime} }

// version is the content that a file had at some time. Guarded by Cache.mu.
//
//	known  racy  the clean bytes held here are
//	no     any   of some version, or of several: the next answer of the server has them dropped (contentInDoubt)
//	yes    yes   of this version, and may be out of date all the same: the next open reads the file again
//	yes    no    of this version, and good for as long as the server tells its signature (good)
type version struct {
	known bool // signature is that of the version; else it is the last one that was known, and what is held may be of any version
	signature
	racy bool // a change made elsewhere might not show in the signature: the next open reads the file again
	own  bool // it is what writes made here have left
}

// is says whether attributes are those of this version, as far as they tell.
func (v *version) is(a session.Attr) bool { return v.known && v.signature == signatureOf(a) }

// cheapAgain is the size, in bytes, up to which it costs no round trip to read a file again: all of it comes in the flight of its opening.
const cheapAgain = sftpconn.HeadNear

// mark notes of which version are the clean bytes held of a file. looked is when the server was asked, on its clock, in seconds since 1970: a
// version from that same second is racy, as another one may follow it with the same mtime. Called with mu held.
func (f *fileState) mark(of signature, looked int64) {
	f.version = version{known: true, signature: of, racy: sameSecond(of.mtime, looked)}
	f.written.hides = false
}

// sameSecond says whether a file may have been changed after it was looked at without a change of its mtime. Both are in seconds since 1970,
// on the server's clock.
func sameSecond(mtime uint32, looked int64) bool { return looked-int64(mtime) < 2 }

// markOwn is mark for a version that was written here. It is racy only where it costs no round trip to read it again: others rarely change a
// file in the second in which it was written here, and a build reads at once what it has written. The handles of the file take the version
// over, as they must find it again after a reconnect; so do those that are closed and have still to deliver what was written through
// them, or to learn its mtime. Called with mu held.
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

// good says whether the bytes held here may be shown for a file with these attributes. Called with mu held.
func (f *fileState) good(a session.Attr) bool {
	return f.version.is(a) && !f.version.racy && !f.data.Short()
}
