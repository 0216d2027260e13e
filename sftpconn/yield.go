package sftpconn

import (
	"cmp"
	"slices"
)

// yield closes a bulk channel where there are several, so that the server grants another channel in its place: to names that are
// stuck, or to copies. From then on the link has one bulk channel fewer. What is in flight on the closed one is sent again on others.
// With last it also closes the only one there is, if no file is open on it. It reports whether it has closed one. Called without mu.
func (l *link) yield(last bool) bool {
	channels := slices.Clone(l.bulkChannels())
	kept := (*File).needs
	if len(channels) < 2 {
		if !last {
			return false
		}
		kept = (*File).uses
	}
	slices.SortFunc(channels, func(a, b *channel) int { return cmp.Compare(a.s.InFlight(), b.s.InFlight()) })
	for _, ch := range channels {
		if !slices.ContainsFunc(l.c.openFiles(), func(f *File) bool { return kept(f, ch) }) {
			l.most.Store(int32(len(channels) - 1))
			ch.yielded.Store(true)
			ch.s.Close()
			return true
		}
	}
	return false
}

// needs reports whether the file is open on ch and nowhere else: without ch, and without a name, it could not be opened again.
func (f *File) needs(ch *channel) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.handles[ch]
	return h != nil && h.open() && !f.elsewhere(ch)
}

// uses says whether the file is open on ch, or is being opened there.
func (f *File) uses(ch *channel) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.handles[ch]
	return h != nil && (!h.openDone() || h.open())
}

// elsewhere reports whether the file is open on another channel than ch, for everything that it was opened for. With mu held.
func (f *File) elsewhere(ch *channel) bool {
	for other, h := range f.handles {
		if other != ch && h.open() && h.full {
			return true
		}
	}
	return false
}
