package fusefs

import (
	"bufio"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// nobody is shown for an owner that has no counterpart here.
const nobody = 65534

// userMap shows one remote user and group as one local user and group.
type userMap struct {
	remoteUID, remoteGID, localUID, localGID uint32
}

// NewUserMap shows files of the remote user as the local user's, and the same of
// their groups; all other ids are the same on both sides (idmap=user).
func NewUserMap(remoteUID, remoteGID, localUID, localGID uint32) IDMapper {
	return userMap{remoteUID, remoteGID, localUID, localGID}
}

// ToLocal implements IDMapper.
func (m userMap) ToLocal(uid, gid uint32) (uint32, uint32) {
	if uid == m.remoteUID {
		uid = m.localUID
	}
	if gid == m.remoteGID {
		gid = m.localGID
	}
	return uid, gid
}

// ToRemote implements IDMapper.
func (m userMap) ToRemote(uid, gid *uint32) (*uint32, *uint32, error) {
	if uid != nil && *uid == m.localUID {
		uid = &m.remoteUID
	}
	if gid != nil && *gid == m.localGID {
		gid = &m.remoteGID
	}
	return uid, gid, nil
}

// fileMap shows ids by tables that the user wrote.
type fileMap struct {
	users, groups  idTable
	ignoreUnmapped bool // else an id outside the tables is neither shown nor set
}

// idTable translates ids both ways; nil maps stand for a table that was left out.
type idTable struct{ toLocal, toRemote map[uint32]uint32 }

// local is the id that a remote one is shown as: itself where the table does not have it.
func (t *idTable) local(id uint32) uint32 {
	if local, ok := t.toLocal[id]; ok {
		return local
	}
	return id
}

// NewFileMap reads tables of lines "name:id" (idmap=file): the local user or
// group of that name, or number, is shown for the remote id. "" leaves that table
// out: its ids are the same on both sides. Empty lines and those beginning with
// '#' say nothing. Ids outside a table stay as they are with ignoreUnmapped;
// without, files that have them, and a chown to them, give EPERM.
func NewFileMap(uidfile, gidfile string, ignoreUnmapped bool) (IDMapper, error) {
	m := fileMap{ignoreUnmapped: ignoreUnmapped}
	var err error
	if m.users, err = readTable(uidfile, localUser); err != nil {
		return nil, err
	}
	if m.groups, err = readTable(gidfile, localGroup); err != nil {
		return nil, err
	}
	return m, nil
}

// readTable reads one table; local is localUser or localGroup.
func readTable(path string, local func(name string) (uint32, error)) (idTable, error) {
	if path == "" {
		return idTable{}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return idTable{}, fmt.Errorf("id map: %w", err)
	}
	defer f.Close()
	t := idTable{make(map[uint32]uint32), make(map[uint32]uint32)}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, number, ok := strings.Cut(line, ":")
		if !ok {
			return idTable{}, fmt.Errorf("id map %s line %d: %q is not of the form name:id", path, n, line)
		}
		remote, err := parseID(strings.TrimSpace(number))
		if err != nil {
			return idTable{}, fmt.Errorf("id map %s line %d: %q is not the number of a remote id", path, n, number)
		}
		id, err := local(strings.TrimSpace(name))
		if err != nil {
			return idTable{}, fmt.Errorf("id map %s line %d: %w", path, n, err)
		}
		t.toLocal[remote], t.toRemote[id] = id, remote
	}
	if err := lines.Err(); err != nil {
		return idTable{}, fmt.Errorf("id map %s: %w", path, err)
	}
	return t, nil
}

// localUser is the id of a user of this machine; name may be a number.
func localUser(name string) (uint32, error) {
	if id, err := parseID(name); err == nil {
		return id, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return parseID(u.Uid)
}

// localGroup is localUser for a group.
func localGroup(name string) (uint32, error) {
	if id, err := parseID(name); err == nil {
		return id, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return parseID(g.Gid)
}

func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	return uint32(id), err
}

// ToLocal implements IDMapper.
func (m fileMap) ToLocal(uid, gid uint32) (uint32, uint32) {
	return m.users.local(uid), m.groups.local(gid)
}

// Shows implements shows.
func (m fileMap) Shows(uid, gid uint32) bool {
	if m.ignoreUnmapped {
		return true
	}
	_, user := m.users.toLocal[uid]
	_, group := m.groups.toLocal[gid]
	return (user || m.users.toLocal == nil) && (group || m.groups.toLocal == nil)
}

// ToRemote implements IDMapper.
func (m fileMap) ToRemote(uid, gid *uint32) (*uint32, *uint32, error) {
	uid, err := m.remote(m.users, "user", uid)
	if err != nil {
		return nil, nil, err
	}
	gid, err = m.remote(m.groups, "group", gid)
	if err != nil {
		return nil, nil, err
	}
	return uid, gid, nil
}

// remote is the id on the other side; nil for nil.
func (m fileMap) remote(t idTable, kind string, id *uint32) (*uint32, error) {
	if id == nil || t.toRemote == nil {
		return id, nil
	}
	if remote, ok := t.toRemote[*id]; ok {
		return &remote, nil
	}
	if m.ignoreUnmapped {
		return id, nil
	}
	return nil, fmt.Errorf("local %s id %d is not in the id map: %w", kind, *id, syscall.EPERM)
}
