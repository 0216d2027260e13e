package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// report is what status says of a mount, as far as the tests ask.
type report struct {
	Line    struct{ Channels int }
	Process struct{ Goroutines int }
}

func (m *mounted) report(t *testing.T) (r report) {
	t.Helper()
	out, err := sshmount(t, "status", m.point, "--json")
	must(t, err)
	must(t, json.Unmarshal([]byte(out), &r))
	return r
}

func TestStatusShowsTheConnection(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	m := s.mount("-o", "ServerAliveInterval=1,ServerAliveCountMax=2")
	out, err := sshmount(t, "status", m.point)
	if err != nil || !strings.Contains(out, m.point) || !strings.Contains(out, "connected") {
		t.Errorf("status: %v\n%s", err, out)
	}
	status := func() string {
		out, err := sshmount(t, "status", m.point, "--json")
		if err != nil {
			t.Fatalf("status --json: %v\n%s", err, out)
		}
		if !json.Valid([]byte(out)) {
			t.Fatalf("status --json gives no JSON:\n%s", out)
		}
		return out
	}
	connected := func(want bool) func() (bool, string) {
		return func() (bool, string) {
			out := strings.ToLower(strings.Join(strings.Fields(status()), ""))
			return strings.Contains(out, fmt.Sprintf(`"connected":%v`, want)), out
		}
	}
	eventually(t, 10*time.Second, "status says connected", connected(true))
	s.down()
	eventually(t, 30*time.Second, "status says not connected", connected(false))
	// First it tells how the connection ended, and then what came of trying for another.
	eventually(t, 10*time.Second, "status says that the server refuses", func() (bool, string) {
		out, err := sshmount(t, "status", m.point)
		return err == nil && strings.Contains(out, "refused"), out
	})
	s.start()
	eventually(t, 40*time.Second, "status says connected again", connected(true))

	// Without a mount point: all of this user's mounts.
	all, err := sshmount(t, "status")
	if err != nil || !strings.Contains(all, m.point) {
		t.Errorf("status of all mounts: %v\n%s", err, all)
	}
	if out, err := sshmount(t, "status", "/"); err == nil || strings.Count(strings.TrimSpace(out), "\n") != 0 {
		t.Errorf("status of no mount: %v\n%s", err, out)
	}
	// The socket is nobody else's.
	found := false
	_ = filepath.WalkDir(filepath.Join(scratch, "run"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSocket == 0 {
			return nil
		}
		found = true
		if st, err := os.Lstat(path); err == nil && st.Mode().Perm() != 0o600 {
			t.Errorf("the control socket has mode %v", st.Mode())
		}
		if st, err := os.Stat(filepath.Dir(path)); err == nil && st.Mode().Perm() != 0o700 {
			t.Errorf("the control socket's directory has mode %v", st.Mode())
		}
		return nil
	})
	if !found {
		t.Error("there is no control socket below $XDG_RUNTIME_DIR")
	}
}
