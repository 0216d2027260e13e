package session

import (
	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// Open flags (draft-02 section 6.3).
const (
	OpenRead   = 0x01
	OpenWrite  = 0x02
	OpenAppend = 0x04
	OpenCreate = 0x08
	OpenTrunc  = 0x10
	OpenExcl   = 0x20
)

// OpenFile is OPEN. a are the attributes for a file that is created.
func (s *Session) OpenFile(path string, pflags uint32, a Attr) *Call {
	return s.start(newOpen(path, pflags, a))
}

// LookAndOpen is Lstat and OpenFile with no other request of this session in between: one could give the name to something else after it
// was looked at, and OPEN would even follow a link.
func (s *Session) LookAndOpen(path string, pflags uint32, a Attr) (look, open *Call) {
	b := newFrame(sshfx.PacketTypeLStat)
	b.AppendString(path)
	look, open = &Call{want: answerAttrs, frame: b}, newOpen(path, pflags, a)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enqueue(look), s.enqueue(open)
}

func newOpen(path string, pflags uint32, a Attr) *Call {
	b := newFrame(sshfx.PacketTypeOpen)
	b.AppendString(path)
	b.AppendUint32(pflags)
	appendAttr(b, a)
	return &Call{want: answerHandle, frame: b}
}

// CloseHandle is CLOSE, for files and directories.
func (s *Session) CloseHandle(handle string) *Call { return s.closeHandle(handle, false) }

// CloseUnread is CloseHandle for a directory that was not read to its end: a READDIR that is meant for the next directory with this handle
// could still bring names of this one.
func (s *Session) CloseUnread(handle string) *Call { return s.closeHandle(handle, true) }

func (s *Session) closeHandle(handle string, unread bool) *Call {
	c := newText(sshfx.PacketTypeClose, answerStatus, handle)
	c.closes, c.unread = handle, unread
	return s.start(c)
}

// Read asks for len(dst) > 0 bytes, or as many as fit into the largest packet. The
// call owns dst until Done is closed; the payload is read straight into it.
// The end of the file is io.EOF with N() == 0. N() < len(dst) without an error
// is a short read, which says nothing about the end of the file.
func (s *Session) Read(handle string, off uint64, dst []byte) *Call {
	asked := min(len(dst), int(s.maxPacket.Load())-overhead)
	b := newFrame(sshfx.PacketTypeRead)
	b.AppendString(handle)
	b.AppendUint64(off)
	b.AppendUint32(uint32(asked))
	return s.start(&Call{want: answerData, frame: b, dst: dst, asked: asked})
}

// Write sends data, which belongs to the call until Done is closed. Data of more
// than Limits().MaxWrite bytes may be refused by the server, or here.
func (s *Session) Write(handle string, off uint64, data []byte) *Call {
	b := newFrame(sshfx.PacketTypeWrite)
	b.AppendString(handle)
	b.AppendUint64(off)
	b.AppendUint32(uint32(len(data)))
	return s.start(&Call{want: answerStatus, frame: b, payload: data, n: len(data)})
}

// Lstat asks for the attributes of path, of the link itself where it is one.
func (s *Session) Lstat(path string) *Call {
	return s.startText(sshfx.PacketTypeLStat, answerAttrs, path)
}

// Stat follows links.
func (s *Session) Stat(path string) *Call {
	return s.startText(sshfx.PacketTypeStat, answerAttrs, path)
}

// Fstat asks for the attributes of an open file.
func (s *Session) Fstat(handle string) *Call {
	return s.startText(sshfx.PacketTypeFStat, answerAttrs, handle)
}

// Setstat sets the attributes that a.Flags names; it follows links.
func (s *Session) Setstat(path string, a Attr) *Call {
	return s.startAttr(sshfx.PacketTypeSetStat, path, a)
}

// Fsetstat is Setstat on an open file.
func (s *Session) Fsetstat(handle string, a Attr) *Call {
	return s.startAttr(sshfx.PacketTypeFSetStat, handle, a)
}

// OpendirAndRead opens a directory for Readdir, with n READDIRs in the same flight; with none where the handle can't be foreseen.
// CloseHandle closes it. When open is answered, check Untouched: where it is false, the handle must not be used for reading, and reads
// are to be abandoned.
func (s *Session) OpendirAndRead(path string, n int) (open *Call, reads []*Call) {
	open = newText(sshfx.PacketTypeOpenDir, answerHandle, path)
	open.lists = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(open)
	for range n {
		if open.foreseen == "" {
			break
		}
		read := newText(sshfx.PacketTypeReadDir, answerEntries, open.foreseen)
		read.peeks = open.foreseen
		reads = append(reads, s.enqueue(read))
	}
	return open, reads
}

// Readdir asks for the next names of a directory. Its end is io.EOF. Names come
// as the server sent them: checking them is the caller's.
func (s *Session) Readdir(handle string) *Call {
	return s.startText(sshfx.PacketTypeReadDir, answerEntries, handle)
}

// Remove removes a file or link.
func (s *Session) Remove(path string) *Call {
	return s.startText(sshfx.PacketTypeRemove, answerStatus, path)
}

// Mkdir makes a directory; the server's umask may take bits of a.Mode away.
func (s *Session) Mkdir(path string, a Attr) *Call {
	return s.startAttr(sshfx.PacketTypeMkdir, path, a)
}

// Rmdir removes an empty directory.
func (s *Session) Rmdir(path string) *Call {
	return s.startText(sshfx.PacketTypeRmdir, answerStatus, path)
}

// Realpath gives the absolute path, in Name.
func (s *Session) Realpath(path string) *Call {
	return s.startText(sshfx.PacketTypeRealPath, answerName, path)
}

// Readlink gives the target of a link, in Name.
func (s *Session) Readlink(path string) *Call {
	return s.startText(sshfx.PacketTypeReadLink, answerName, path)
}

// Symlink makes linkpath point to target. OpenSSH takes the two in the opposite
// order of the draft (PROTOCOL section 4.1), and other servers do as OpenSSH, except
// one that says so by an extension.
func (s *Session) Symlink(target, linkpath string) *Call {
	if (*s.extensions.Load())[extSymlinkOrder] == "linkpath-targetpath" {
		return s.startTwo(sshfx.PacketTypeSymlink, linkpath, target)
	}
	return s.startTwo(sshfx.PacketTypeSymlink, target, linkpath)
}

// Rename is plain v3: refused where newpath exists.
func (s *Session) Rename(oldpath, newpath string) *Call {
	return s.startTwo(sshfx.PacketTypeRename, oldpath, newpath)
}

func (s *Session) startText(t sshfx.PacketType, want answer, text string) *Call {
	return s.start(newText(t, want, text))
}

// newText makes a request that is one string.
func newText(t sshfx.PacketType, want answer, text string) *Call {
	b := newFrame(t)
	b.AppendString(text)
	return &Call{want: want, frame: b}
}

func (s *Session) startTwo(t sshfx.PacketType, first, second string) *Call {
	b := newFrame(t)
	b.AppendString(first)
	b.AppendString(second)
	return s.start(&Call{want: answerStatus, frame: b})
}

func (s *Session) startAttr(t sshfx.PacketType, text string, a Attr) *Call {
	b := newFrame(t)
	b.AppendString(text)
	appendAttr(b, a)
	return s.start(&Call{want: answerStatus, frame: b})
}
