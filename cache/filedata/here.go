package filedata

// ReadHere is Read of bytes that are all here; ok is false where one of them would have to be waited for.
func (h *Handle) ReadHere(off int64, n int) (v View, ok bool) {
	a := assemblies.Get().(*assembly)
	end := off + int64(n)
	if !h.collectHere(a, off, end) {
		a.release()
		return View{}, false
	}
	v, consumed, err := h.assemble(a, off)
	if consumed {
		h.pool.trim()
	}
	if err != nil || v.N < n {
		a.release()
		return View{}, false
	}
	return v, true
}

// collectHere is collect where nothing of [off, end) would have to be waited for.
func (h *Handle) collectHere(a *assembly, off, end int64) bool {
	f := h.file
	f.mu.Lock()
	defer f.mu.Unlock()
	if h.closed || end > f.size || f.short && h.clean == f.clean {
		return false
	}
	if lo, hi := h.nextGap(off, end); lo < hi {
		return false
	}
	h.collect(a, off, end)
	for i := range a.parts {
		if s := a.parts[i].span; s != nil && !s.ready() {
			return false
		}
	}
	return true
}
