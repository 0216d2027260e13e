package sftpconn

import "sshmount/sftpconn/session"

// lookUp asks for the attributes of what path leads to.
func (f *File) lookUp(ch *channel, path string) *session.Call {
	if f.r.Follow {
		return ch.s.Stat(path)
	}
	return ch.s.Lstat(path)
}

// isRegular says whether what looks so is a regular file, as far as can be told: some servers tell no types.
func isRegular(a Attr) bool {
	t := a.Mode & modeType
	return t == 0 || t == modeRegular
}

// lookBehind asks what open has opened looks like, in its flight where the handle can be foreseen; nil where it can't.
// Looks through handles are compared with each other alone: some servers (OpenSSH's on Windows) tell other permission bits of a name.
func lookBehind(ch *channel, open *session.Call) *session.Call {
	if id := open.Foreseen(); id != "" {
		return ch.s.Fstat(id)
	}
	return nil
}

// lookedBehind gives the answer to call, which is of lookBehind, when open is answered. Where the handle was not foreseen, it asks then.
func (f *File) lookedBehind(ch *channel, open, call *session.Call) (Attr, error) {
	if call == nil || !open.AsForeseen() {
		call = ch.s.Fstat(open.Handle())
	}
	err := ch.wait(f.c.ctx, call)
	return call.Attr(), err
}

// sameButBits is sameFile for a look at the name and one through the handle.
func sameButBits(a, b Attr) bool {
	a.Mode &= modeType
	b.Mode &= modeType
	return sameFile(a, b)
}

// sameFile says whether two looks at a file, with nothing done to it in between, may be of the same.
func sameFile(a, b Attr) bool {
	a.Atime, b.Atime = 0, 0
	return a == b
}

// follows says whether a file that is written and shows a may show b later.
func follows(a, b Attr) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Size <= b.Size && a.Mtime <= b.Mtime
}
