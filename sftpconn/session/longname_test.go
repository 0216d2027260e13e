package session

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// Targets of links are kept, and a directory may have very many links: one of 250 KiB each would fill the memory.
func TestAPathThatIsTooLongIsNotKept(t *testing.T) {
	for long, good := range map[int]bool{4095: true, 4096: false, 250 << 10: false} {
		target := strings.Repeat("x", long)
		s := hostile(t, func(id uint32) []byte { return packet(104, id, u32(1), str(target), str(""), u32(0)) })
		call := s.Readlink("l")
		err := outcome(t, call)
		switch {
		case good && (err != nil || call.Name() != target):
			t.Errorf("a target of %d bytes: %d bytes, %v", long, len(call.Name()), err)
		case !good && (!errors.Is(err, syscall.ENAMETOOLONG) || call.Name() != ""):
			t.Errorf("a target of %d bytes: %d bytes are kept, %v", long, len(call.Name()), err)
		}
		if s.Err() != nil {
			t.Errorf("the session ended: %v", s.Err())
		}
	}
}
