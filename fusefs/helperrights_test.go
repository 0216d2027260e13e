package fusefs

import (
	"os"
	"path/filepath"
	"testing"
)

// A helper without its setuid bit fails as in a container without rights, but something else is to be done about it.
func TestAHelperWithoutItsSetuidBitIsKnown(t *testing.T) {
	program := filepath.Join(t.TempDir(), "fusermount3")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if mayMount(program, 1000) || !mayMount(program, 0) {
		t.Error("without the bit root may mount, and nobody else")
	}
	if err := os.Chmod(program, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if !mayMount(program, 1000) {
		t.Error("with the bit everybody may mount")
	}
}
