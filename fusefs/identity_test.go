package fusefs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"testing"
)

func id(n uint32) *uint32 { return &n }

func shown(t *testing.T, m IDMapper, uid, gid, wantUID, wantGID uint32) {
	t.Helper()
	if l, ok := m.(learner); ok {
		_ = l.Learn(t.Context(), []uint32{uid}, []uint32{gid})
	}
	if u, g := m.ToLocal(uid, gid); u != wantUID || g != wantGID {
		t.Errorf("remote %d:%d is shown as %d:%d, want %d:%d", uid, gid, u, g, wantUID, wantGID)
	}
}

func sent(t *testing.T, m IDMapper, uid, gid, wantUID, wantGID *uint32) {
	t.Helper()
	same := func(a, b *uint32) bool { return a == b || a != nil && b != nil && *a == *b }
	u, g, err := m.ToRemote(uid, gid)
	if err != nil || !same(u, wantUID) || !same(g, wantGID) {
		t.Errorf("chown sends %v:%v, %v", u, g, err)
	}
}

func TestUserMapTranslatesOneUserBothWays(t *testing.T) {
	m := NewUserMap(1000, 1001, 500, 501)
	shown(t, m, 1000, 1001, 500, 501)
	shown(t, m, 0, 7, 0, 7)
	sent(t, m, id(500), id(501), id(1000), id(1001))
	sent(t, m, id(3), nil, id(3), nil)
	sent(t, m, nil, id(501), nil, id(1001))
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "map")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileMap(t *testing.T) {
	uids := write(t, "# local:remote\n\nroot:1000\n77:1077\n")
	strict, err := NewFileMap(uids, write(t, "88:1088\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	shown(t, strict, 1000, 1088, 0, 88)
	sent(t, strict, id(77), id(88), id(1077), id(1088))
	sent(t, strict, nil, nil, nil, nil)
	if _, _, err := strict.ToRemote(id(5), nil); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a chown to somebody outside the table gives %v", err)
	}
	if s := strict.(shows); s.Shows(5, 1088) || s.Shows(1000, 5) || !s.Shows(1000, 1088) {
		t.Error("shown is not what is in the tables")
	}

	loose, err := NewFileMap(uids, "", true)
	if err != nil {
		t.Fatal(err)
	}
	shown(t, loose, 1077, 5, 77, 5)
	shown(t, loose, 5, 5, 5, 5)
	sent(t, loose, id(5), id(6), id(5), id(6))
	if !loose.(shows).Shows(5, 5) {
		t.Error("with nomap=ignore an owner is not shown")
	}
}

func TestFileMapSaysWhereItIsWrong(t *testing.T) {
	for _, text := range []string{"root\n", "root:x\n", "root:-1\n", "root:5000000000\n", "no-such-user-here:1\n"} {
		if _, err := NewFileMap(write(t, "77:1\n"+text), "", false); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if _, err := NewFileMap("/no/such/map", "", false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestNameMapGoesByNames(t *testing.T) {
	asked, fail := 0, false
	m := NewNameMap(func(_ context.Context, uids, gids []uint32) (users, groups []string, err error) {
		if fail {
			return nil, nil, errors.New("the line is down")
		}
		asked += len(uids) + len(gids)
		for _, u := range uids {
			users = append(users, map[uint32]string{4242: "root", 1: "no-such-user-here"}[u])
		}
		for _, g := range gids {
			groups = append(groups, map[uint32]string{4343: "root", 4444: "17"}[g])
		}
		return users, groups, nil
	})
	fail = true
	shown(t, m, 4242, 4343, 4242, 4343)
	fail = false
	shown(t, m, 4242, 4343, 0, 0)
	shown(t, m, 4242, 4343, 0, 0)
	if asked != 2 {
		t.Errorf("the server was asked for %d ids, two are to be known", asked)
	}
	shown(t, m, 1, 4444, nobody, 4444) // a stranger with the number of somebody here, and a name that is a number
	shown(t, m, 3999999, 3999999, 3999999, 3999999)
	sent(t, m, id(0), id(0), id(4242), id(4343))
	if _, _, err := m.ToRemote(id(3999999), nil); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a chown to an unknown name gives %v", err)
	}
}

func TestTheNamesOfManyIDsAreAskedForAtOnce(t *testing.T) {
	var asked [][]uint32
	m := NewNameMap(func(ctx context.Context, uids, gids []uint32) (users, groups []string, err error) {
		asked = append(asked, slices.Concat(uids, gids))
		return make([]string, len(uids)), make([]string, len(gids)), ctx.Err()
	}).(learner)
	given, up := context.WithCancel(t.Context())
	up()
	if err := m.Learn(given, []uint32{3999998}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("asked for somebody who has given up: %v", err)
	}
	for range 2 {
		if err := m.Learn(t.Context(), []uint32{3999998, 3999999, 3999998}, []uint32{3999998}); err != nil {
			t.Error(err)
		}
	}
	if want := [][]uint32{{3999998}, {3999998, 3999999, 3999998}}; !reflect.DeepEqual(asked, want) {
		t.Errorf("the server was asked for %v, want %v", asked, want)
	}
}

func TestHandlesAreFoundUntilTakenAndNumbersNotUsedTwice(t *testing.T) {
	var tab table[string]
	a := tab.put("a")
	b := tab.put("b")
	if h, ok := tab.get(a); !ok || h != "a" || a == b {
		t.Errorf("handle %d is %q, %v", a, h, ok)
	}
	if h, ok := tab.take(a); !ok || h != "a" {
		t.Errorf("took %q, %v", h, ok)
	}
	if _, ok := tab.take(a); ok {
		t.Error("took a handle twice")
	}
	if c := tab.put("c"); c == a || c == b {
		t.Errorf("number %d was used before", c)
	}
	if all := tab.drain(); len(all) != 2 {
		t.Errorf("drained %q", all)
	}
}
