package fusefs

import (
	"context"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

// nameMap translates ids by the names that they have on either side. What was
// learnt is kept for the life of the mount.
type nameMap struct {
	ask NameLookup

	mu            sync.Mutex // guards the tables; not held while the server is asked
	users, groups idTable
}

// NameLookup asks the server for the names of ids, "" where it has none.
type NameLookup func(ctx context.Context, uids, gids []uint32) (users, groups []string, err error)

// NewNameMap shows a remote id as the local one of the same name (idmap=name).
// Where there is none the number is shown as it is, unless it is somebody
// else's here: then nobody's. While lookup fails numbers are shown as they are.
func NewNameMap(lookup NameLookup) IDMapper {
	return &nameMap{
		ask:    lookup,
		users:  idTable{make(map[uint32]uint32), make(map[uint32]uint32)},
		groups: idTable{make(map[uint32]uint32), make(map[uint32]uint32)},
	}
}

// Learn implements learner.
func (m *nameMap) Learn(ctx context.Context, uids, gids []uint32) error {
	m.mu.Lock()
	uids, gids = m.users.unknown(uids), m.groups.unknown(gids)
	m.mu.Unlock()
	if len(uids) == 0 && len(gids) == 0 {
		return nil
	}
	users, groups, err := m.ask(ctx, uids, gids)
	if err != nil {
		return err
	}
	if len(users) != len(uids) || len(groups) != len(gids) {
		return fmt.Errorf("the server was asked for the names of %d users and %d groups, and gave %d and %d", len(uids), len(gids), len(users), len(groups))
	}
	for i, uid := range uids {
		m.enter(&m.users, uid, users[i], localUser, hasUser)
	}
	for i, gid := range gids {
		m.enter(&m.groups, gid, groups[i], localGroup, hasGroup)
	}
	return nil
}

// unknown are those of the ids that were not met, each once.
func (t *idTable) unknown(ids []uint32) []uint32 {
	var list []uint32
	for _, id := range ids {
		if _, ok := t.toLocal[id]; !ok && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// ToLocal implements IDMapper.
func (m *nameMap) ToLocal(uid, gid uint32) (uint32, uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.users.local(uid), m.groups.local(gid)
}

// enter notes what a remote id of that name is here. local finds the id of a name, and taken says whether an id is somebody's.
func (m *nameMap) enter(t *idTable, remote uint32, name string, local func(string) (uint32, error), taken func(uint32) bool) {
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

// named is the id that the owner of a local one has on the server.
func (t *idTable) named(kind string, id *uint32) (*uint32, error) {
	if id == nil {
		return nil, nil
	}
	if remote, ok := t.toRemote[*id]; ok {
		return &remote, nil
	}
	return nil, fmt.Errorf("local %s id %d: its name is not known on the server: %w", kind, *id, syscall.EPERM)
}
