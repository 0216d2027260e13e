package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func gitClone(j *Job) error {
	return j.during(func(i int) error {
		name := fmt.Sprint("clone", i)
		if _, err := j.program(nil, "git", "clone", "-q", "--no-hardlinks", j.repo, filepath.Join(j.mnt, name)); err != nil {
			return err
		}
		if err := j.settled(); err != nil {
			return err
		}
		// On the server's disk, where nothing of the mount's is between.
		clone := filepath.Join(j.srv, name)
		if out, err := j.program(nil, "git", "-C", clone, "fsck", "--full", "--strict", "--no-progress"); err != nil || len(out) > 0 {
			return fmt.Errorf("git fsck: %w %s", err, out)
		}
		for file, want := range repoFiles() {
			got, err := os.ReadFile(filepath.Join(clone, file))
			if err := errors.Join(err, same(file, got, want)); err != nil {
				return err
			}
		}
		return nil
	})
}

// database commits row after row, each with its own fsyncs, and then looks on the server
// whether all that were committed are there.
func database(j *Job) error {
	file := filepath.Join(j.mnt, "rows.db")
	rows, sum := 0, 0
	err := j.until(func(i int) error {
		var sql strings.Builder
		sql.WriteString("PRAGMA synchronous=FULL;\nCREATE TABLE IF NOT EXISTS rows(id INTEGER PRIMARY KEY, value INTEGER, filler TEXT);\n")
		for range 6 {
			value := j.rng.IntN(1000)
			fmt.Fprintf(&sql, "INSERT INTO rows(value, filler) VALUES(%d, '%0*d');\n", value, 1+j.rng.IntN(3000), value)
			rows++
			sum += value
		}
		_, err := j.program([]byte(sql.String()), "sqlite3", "-bail", file)
		return err
	})
	if err != nil {
		return err
	}
	if err := j.settled(); err != nil {
		return err
	}
	want := fmt.Sprintf("ok\n%d|%d", rows, sum)
	for _, f := range []string{filepath.Join(j.srv, "rows.db"), file} {
		out, err := j.program(nil, "sqlite3", f, "PRAGMA integrity_check; SELECT count(*), sum(value) FROM rows;")
		if err != nil {
			return err
		}
		if got := strings.TrimSpace(string(out)); got != want {
			return fmt.Errorf("the database says %q, not %q", got, want)
		}
	}
	return nil
}
