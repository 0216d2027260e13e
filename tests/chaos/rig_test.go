package chaos

import "testing"

func TestARigThatCannotBeMadeTellsWhy(t *testing.T) {
	if _, err := NewRig(t.Context(), Config{Dir: "/dev/null/rig"}); err == nil {
		t.Error("a rig in a folder that cannot be")
	}
}
