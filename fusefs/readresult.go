package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"sshmount/cache/filedata"
)

// maxVecs is below what one writev(2) takes (1024), header included.
const maxVecs = 1000

// readResult hands a view's blocks to writev(2), and gives them back when go-fuse
// calls Done. It does so once for each result, whether it was sent or not, but for
// an empty one: newReadResult makes none of these.
type readResult struct {
	view filedata.View
}

func newReadResult(v filedata.View) fuse.ReadResult {
	if v.N == 0 {
		v.Release()
		return fuse.ReadResultData(nil)
	}
	if len(v.Vecs) > maxVecs {
		flat := make([]byte, 0, v.N)
		for _, p := range v.Vecs {
			flat = append(flat, p...)
		}
		v.Release()
		return fuse.ReadResultData(flat)
	}
	return &readResult{v}
}

// Size implements fuse.ReadResult.
func (r *readResult) Size() int { return r.view.N }

// Bytes implements fuse.ReadResult.
func (r *readResult) Bytes(buf []byte) ([]byte, fuse.Status) {
	buf = buf[:0]
	for _, p := range r.view.Vecs {
		buf = append(buf, p...)
	}
	return buf, fuse.OK
}

// Slices is how go-fuse asks for the vector.
func (r *readResult) Slices() ([][]byte, fuse.Status) { return r.view.Vecs, fuse.OK }

// Done implements fuse.ReadResult.
func (r *readResult) Done() { r.view.Release() }
