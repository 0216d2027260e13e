package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAFileInTheWayLeavesNothingInTheClientDirectory(t *testing.T) {
	for _, name := range []string{"known_hosts", "ssh_config"} {
		w := &world{t: t, dir: t.TempDir()}
		client := filepath.Join(w.dir, "client")
		if err := os.Mkdir(client, 0o700); err != nil {
			t.Fatal(err)
		}
		w.write(filepath.Join(client, name), "somebody's")
		w.want(exitUsage, []string{name, "exists", "not there yet"}, "serve", "--client-dir", client)
		if left, err := os.ReadDir(client); err != nil || len(left) != 1 {
			t.Errorf("with a %s: %v, %v is left", name, left, err)
		}
		w.holds(filepath.Join(client, name), "somebody's")
	}
}

func TestAClientDirectoryThatWasThereStays(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	client := filepath.Join(w.dir, "client")
	if err := os.Mkdir(client, 0o700); err != nil {
		t.Fatal(err)
	}
	w.want(exitFailure, []string{"missing port"}, "serve", "--listen", "2222", "--client-dir", client)
	if left, err := os.ReadDir(client); err != nil || len(left) != 0 {
		t.Errorf("%v, %v is left", left, err)
	}
}
