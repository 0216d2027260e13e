package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAServerIsToldItsDirectoryByAFlag(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	w.want(exitUsage, []string{"/srv/data", "--dir"}, "serve", "/srv/data", "--client-dir", filepath.Join(w.dir, "client"))
}

func TestAServerThatDidNotStartLeavesItsClientDirectoryToTheNext(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	client := filepath.Join(w.dir, "client")
	w.want(exitFailure, []string{"missing port"}, "serve", "--listen", "2222", "--client-dir", client)
	if _, err := os.Lstat(client); err == nil {
		t.Error("what was made for the client is left")
	}
	if err := os.Mkdir(client, 0o700); err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(client, "id_ed25519"), "a key")
	w.want(exitUsage, []string{"exists", "not there yet"}, "serve", "--client-dir", client)
	w.holds(filepath.Join(client, "id_ed25519"), "a key")
}
