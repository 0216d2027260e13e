package filedata

import "slices"

// blocks are the clean spans that some handles share. When a file is replaced on the server, a handle that is open goes on reading the old
// one, while a later opening of the same name gets the new one, and nothing in their bytes tells them apart. So once the file was seen to
// change, the handles that were open then share blocks of their own, and later ones begin with none.
type blocks struct{ ranges[*span] }

// Changed notes that the file was seen to have changed on the server. It forgets clean blocks as Drop does; and what the handles that are
// open now will read is kept apart from what later ones read.
func (f *File) Changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutClean(0, maxOffset)
	for h := range f.handles {
		if h.clean == f.clean {
			f.earlier = append(f.earlier, f.clean)
			f.clean = new(blocks)
			return
		}
	}
}

// Divided says whether a handle is open that may read what the file was before it changed.
func (f *File) Divided() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.earlier) > 0
}

// Renew has a handle share the blocks of those that are opened now, as what its backend has open is the file of now.
func (h *Handle) Renew() {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	if h.closed || h.clean == f.clean {
		return
	}
	was := h.clean
	f.cutBlocks(was, 0, maxOffset) // what it has asked for until now is in there
	h.clean = f.clean
	for o := range f.handles {
		if o.clean == was {
			return
		}
	}
	if i := slices.Index(f.earlier, was); i >= 0 {
		f.earlier = slices.Delete(f.earlier, i, i+1)
	}
}

// cutClean forgets what the server said of [off, end), for all handles.
func (f *File) cutClean(off, end int64) {
	f.cutBlocks(f.clean, off, end)
	for _, b := range f.earlier {
		f.cutBlocks(b, off, end)
	}
}

// noReader sees to the blocks of a handle that has closed. What was read for it becomes unclaimed; earlier blocks are dropped with the last
// handle that shares them.
func (f *File) noReader(h *Handle) {
	shared := false
	for o := range f.handles {
		shared = shared || o.clean == h.clean
	}
	if i := slices.Index(f.earlier, h.clean); i >= 0 && !shared {
		f.cutBlocks(h.clean, 0, maxOffset)
		f.earlier = slices.Delete(f.earlier, i, i+1)
		return
	}
	var left []*span
	for _, s := range h.clean.s {
		if s.handle == h || !shared {
			left = append(left, s)
		}
	}
	f.pool.unclaim(left)
}
