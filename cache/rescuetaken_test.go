package cache

import (
	"errors"
	"log/slog"
	"os"
	"testing"
)

// Whoever finds rescued bytes may take them away while more are to come.
func TestBytesAreRescuedAlsoWhenTheUserHasTakenTheFirstAway(t *testing.T) {
	r := &rescue{dir: t.TempDir(), log: slog.New(slog.DiscardHandler), sync: (*os.File).Sync}
	defer r.wait()
	why := errors.New("disk full")
	n := new(Node)
	taken, _, err := r.save(n, "/f", 0, []byte("first"), why)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(taken); err != nil {
		t.Fatal(err)
	}
	name, first, err := r.save(n, "/f", 5, []byte("second"), why)
	if err != nil || !first {
		t.Fatalf("the second piece: %v, in a file of its own: %v", err, first)
	}
	if got, err := os.ReadFile(name); err != nil || string(got[5:]) != "second" {
		t.Errorf("%q, %v", got, err)
	}
}
