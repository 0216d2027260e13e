package sftpconn

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// A file system is mounted on a directory, which is there before it.
func TestAnOpenFileOutlivesAFileSystemThatIsNotMountedOnItsDirectoryYet(t *testing.T) {
	tap := sftptest.NewTap()
	srv, data, f := inData(t, tap)
	if err := errors.Join(os.Rename(data, data+"-not-mounted"), os.Mkdir(data, 0o755)); err != nil {
		t.Fatal(err)
	}
	srv.Cut()
	done := make(chan error, 1)
	go func() { done <- f.WriteAt(limited(t), []byte("UNSAVED"), 0) }()
	eventually(t, "the directory was looked for twice", func() bool { return tap.Count("STAT") >= 2 || len(done) > 0 })
	if err := errors.Join(os.Remove(data), os.Rename(data+"-not-mounted", data)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("a write while the file system was not mounted yet: %v", err)
	}
	sameAs(t, filepath.Join(data, "f"), []byte("UNSAVED"))
}

func TestAFileThatWasTheOnlyOneOfItsDirectoryIsNotWaitedForWithoutEnd(t *testing.T) {
	srv, data, f := inData(t, sftptest.NewTap(), func(o *Options) { o.ReconnectTimeout = 300 * time.Millisecond })
	if err := os.Remove(filepath.Join(data, "f")); err != nil {
		t.Fatal(err)
	}
	srv.Cut()
	if err := f.WriteAt(Patient(limited(t)), []byte("y"), 0); !errors.Is(err, ErrStale) {
		t.Error(err)
	}
}
