package fusefs

import (
	"fmt"
	"os/user"
	"strconv"
	"sync"
	"syscall"
)

// nameMap translates ids by the names that they have on either side. What was
// learnt is kept for the life of the mount.
type nameMap struct {
	ask func(uids, gids []uint32) (users, groups []string, err error)

	mu            sync.Mutex // guards the tables; not held while the server is asked
	users, groups idTable
}

// NewNameMap shows a remote id as the local one of the same name (idmap=name).
// Where there is none the number is shown as it is, unless it is somebody
// else's here: then nobody's. lookup asks the server for the names of ids, ""
// where it has none; while it fails numbers are shown as they are.
func NewNameMap(lookup func(uids, gids []uint32) (users, groups []string, err error)) IDMapper {
	return &nameMap{
		ask:    lookup,
		users:  idTable{make(map[uint32]uint32), make(map[uint32]uint32)},
		groups: idTable{make(map[uint32]uint32), make(map[uint32]uint32)},
	}
}

// ToLocal implements IDMapper. It asks the server once for each id that it meets.
func (m *nameMap) ToLocal(uid, gid uint32) (uint32, uint32) {
	m.mu.Lock()
	u, knowUser := m.users.toLocal[uid]
	g, knowGroup := m.groups.toLocal[gid]
	m.mu.Unlock()
	if knowUser && knowGroup {
		return u, g
	}
	var uids, gids []uint32
	if !knowUser {
		u, uids = uid, []uint32{uid}
	}
	if !knowGroup {
		g, gids = gid, []uint32{gid}
	}
	users, groups, err := m.ask(uids, gids)
	if err != nil || len(users) != len(uids) || len(groups) != len(gids) {
		return u, g
	}
	if !knowUser {
		u = m.learn(&m.users, uid, users[0], localUser, hasUser)
	}
	if !knowGroup {
		g = m.learn(&m.groups, gid, groups[0], localGroup, hasGroup)
	}
	return u, g
}

// learn enters what a remote id is here.
func (m *nameMap) learn(t *idTable, remote uint32, name string, local func(string) (uint32, error), taken func(uint32) bool) uint32 {
	id, same := remote, false
	if name != "" && !isNumber(name) { // a name of digits would be taken for an id
		if found, err := local(name); err == nil {
			id, same = found, true
		}
	}
	if !same && taken(remote) {
		id = nobody
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.toLocal[remote] = id
	if same {
		t.toRemote[id] = remote
	}
	return id
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

func hasUser(id uint32) bool {
	_, err := user.LookupId(strconv.FormatUint(uint64(id), 10))
	return err == nil
}

func hasGroup(id uint32) bool {
	_, err := user.LookupGroupId(strconv.FormatUint(uint64(id), 10))
	return err == nil
}

// ToRemote implements IDMapper. SFTP can't be asked for the id of a name, so
// only names that were met are known, and those with the same id on both sides.
// Any other number would be a stranger's.
func (m *nameMap) ToRemote(uid, gid *uint32) (*uint32, *uint32, error) {
	if uid != nil {
		m.ToLocal(*uid, 0)
	}
	if gid != nil {
		m.ToLocal(0, *gid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	uid, err := m.users.named("user", uid)
	if err != nil {
		return nil, nil, err
	}
	gid, err = m.groups.named("group", gid)
	if err != nil {
		return nil, nil, err
	}
	return uid, gid, nil
}

func (t *idTable) named(kind string, id *uint32) (*uint32, error) {
	if id == nil {
		return nil, nil
	}
	if remote, ok := t.toRemote[*id]; ok {
		return &remote, nil
	}
	return nil, fmt.Errorf("local %s id %d: its name is not known on the server: %w", kind, *id, syscall.EPERM)
}
