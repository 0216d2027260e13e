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

// sameFile says whether two looks at a file, with nothing done to it in between, may be of the same.
func sameFile(a, b Attr) bool {
	a.Atime, b.Atime = 0, 0
	return a == b
}

// follows says whether a file that is written and shows a may show b later.
func follows(a, b Attr) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Size <= b.Size && a.Mtime <= b.Mtime
}
