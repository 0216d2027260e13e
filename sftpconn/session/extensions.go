package session

import (
	"encoding/binary"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// Names of the extensions in use (OpenSSH, PROTOCOL section 4).
const (
	extPosixRename = "posix-rename@openssh.com"
	extHardlink    = "hardlink@openssh.com"
	extStatvfs     = "statvfs@openssh.com"
	extFsync       = "fsync@openssh.com"
	extLsetstat    = "lsetstat@openssh.com"
	extLimits      = "limits@openssh.com"
	extExpandPath  = "expand-path@openssh.com"
	extCopyData    = "copy-data"
	extUsersGroups = "users-groups-by-id@openssh.com"

	// extSymlinkOrder is of the Green End SFTP server: its value names the arguments of SYMLINK in their order.
	extSymlinkOrder = "symlink-order@rjk.greenend.org.uk"

	// extVersions tells the versions of SFTP that the server speaks besides that which it answers in.
	extVersions = "versions"
)

// MixesChannels says whether the server is known to mix up what comes over several channels of one connection: ProFTPD's mod_sftp
// keeps the part of a request that has come, and the request itself, in one place for all of them. What another channel
// brings before the rest is taken for that rest: it writes wrong bytes and acknowledges them, answers for other files, or not at all.
// In version 3 it does not say who it is. Of the servers that announce 'versions' there some others may have the one channel for nothing.
func (s *Session) MixesChannels() bool { return s.Has(extVersions) && !s.Has(extSymlinkOrder) }

// RenamesTargets says whether the server is known to follow links in a rename, at both names: ProFTPD's mod_sftp does. It is known as for
// MixesChannels.
func (s *Session) RenamesTargets() bool { return s.MixesChannels() }

// The requests below are sent whether or not the server announced the extension
// (Has); one that lacks it answers with StatusOpUnsupported.

// Lsetstat is lsetstat@openssh.com: like Setstat, not following a link.
func (s *Session) Lsetstat(path string, a Attr) *Call {
	b := newExtended(extLsetstat)
	b.AppendString(path)
	appendAttr(b, a)
	return s.start(&Call{want: answerStatus, frame: b})
}

// PosixRename replaces newpath where it exists.
func (s *Session) PosixRename(oldpath, newpath string) *Call {
	return s.startExtended(extPosixRename, answerStatus, oldpath, newpath)
}

// Hardlink makes newpath a further name of oldpath.
func (s *Session) Hardlink(oldpath, newpath string) *Call {
	return s.startExtended(extHardlink, answerStatus, oldpath, newpath)
}

// Statvfs asks about the file system that holds path.
func (s *Session) Statvfs(path string) *Call {
	return s.startExtended(extStatvfs, answerStatVFS, path)
}

// Fsync has the server write the file to its disk.
func (s *Session) Fsync(handle string) *Call {
	b := newExtended(extFsync)
	b.AppendString(handle)
	return s.start(&Call{want: answerStatus, frame: b, slow: true})
}

// CopyData is copy-data: n == 0 copies to the end of the source.
func (s *Session) CopyData(src string, srcOff, n uint64, dst string, dstOff uint64) *Call {
	b := newExtended(extCopyData)
	b.AppendString(src)
	b.AppendUint64(srcOff)
	b.AppendUint64(n)
	b.AppendString(dst)
	b.AppendUint64(dstOff)
	return s.start(&Call{want: answerStatus, frame: b, slow: true})
}

// UserGroupNames is users-groups-by-id@openssh.com; unknown ids give "".
func (s *Session) UserGroupNames(uids, gids []uint32) *Call {
	b := newExtended(extUsersGroups)
	for _, ids := range [][]uint32{uids, gids} {
		block := make([]byte, 0, 4*len(ids))
		for _, id := range ids {
			block = binary.BigEndian.AppendUint32(block, id)
		}
		b.AppendBytes(block)
	}
	names := &idNames{users: make([]string, len(uids)), groups: make([]string, len(gids))}
	return s.start(&Call{want: answerNames, frame: b, other: names})
}

// ExpandPath is expand-path@openssh.com: "~user" at the start of path becomes that
// user's home directory, "~" the directory in which the session began (which is
// the home directory, as a rule), and the rest is made absolute; the answer is in Name.
func (s *Session) ExpandPath(path string) *Call {
	return s.startExtended(extExpandPath, answerName, path)
}

func newExtended(name string) *sshfx.Buffer {
	b := newFrame(sshfx.PacketTypeExtended)
	b.AppendString(name)
	return b
}

func (s *Session) startExtended(name string, want answer, texts ...string) *Call {
	b := newExtended(name)
	for _, t := range texts {
		b.AppendString(t)
	}
	return s.start(&Call{want: want, frame: b})
}
