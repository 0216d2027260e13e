package sftpconn

import "sshmount/sftpconn/session"

// lookUp asks for the attributes of path; with Follow, of what it leads to.
func (f *File) lookUp(ch *channel, path string) *session.Call {
	if f.r.Follow {
		return ch.s.Stat(path)
	}
	return ch.s.Lstat(path)
}

// isRegular reports whether a is of a regular file, as far as can be told: some servers send no types.
func isRegular(a Attr) bool {
	t := a.Mode & modeType
	return t == 0 || t == modeRegular
}

// lookBehind asks, in the flight of open, for the attributes of what it opens. It returns nil where the handle can't be foreseen. Looks
// through handles are compared only with each other: some servers (OpenSSH's on Windows) send other permission bits for a name.
func lookBehind(ch *channel, open *session.Call) *session.Call {
	if id := open.Foreseen(); id != "" {
		return ch.s.Fstat(id)
	}
	return nil
}

// lookedBehind returns the answer to call, which lookBehind has made. open is answered by then. Where its handle was not as foreseen, it
// asks again.
func (f *File) lookedBehind(ch *channel, open, call *session.Call) (Attr, error) {
	if call == nil || !open.AsForeseen() {
		call = ch.s.Fstat(open.Handle())
	}
	err := ch.wait(f.c.ctx, call)
	return call.Attr(), err
}

// sameButBits is sameFile for a look at the name and one through a handle.
func sameButBits(a, b Attr) bool {
	a.Mode &= modeType
	b.Mode &= modeType
	return sameFile(a, b)
}

// sameFile reports whether two looks may be of the same file, if nothing was done to it in between.
func sameFile(a, b Attr) bool {
	a.Atime, b.Atime = 0, 0
	return a == b
}

// follows reports whether a file that is being written and has the attributes a may have b later.
func follows(a, b Attr) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Size <= b.Size && a.Mtime <= b.Mtime
}
