package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func checkListing(out []byte) error {
	n := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 9 {
			continue
		}
		if f[8] != listName(n) || f[4] != fmt.Sprint(n%500) {
			return fmt.Errorf("ls shows %s of %s bytes", f[8], f[4])
		}
		n++
	}
	if n != listNames {
		return fmt.Errorf("ls shows %d names of %d", n, listNames)
	}
	return nil
}

func checkTar(file string, want tree) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	seen := 0
	for r := tar.NewReader(f); ; seen++ {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel("tree", h.Name)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if content, ok := want[name]; !ok || !bytes.Equal(got, content) {
			return fmt.Errorf("%s in the archive is not what is on the server", name)
		}
	}
	if seen != len(want) {
		return fmt.Errorf("%d entries in the archive, not %d", seen, len(want))
	}
	return nil
}
