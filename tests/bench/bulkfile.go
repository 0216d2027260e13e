package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func (m *measure) readFile(path string, want []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return m.same(f, want)
}

// same reads to the end and compares, a mebibyte at a time.
func (m *measure) same(r io.Reader, want []byte) error {
	buf := make([]byte, 1<<20)
	at := 0
	for {
		n, err := r.Read(buf)
		if n > len(want)-at || !bytes.Equal(buf[:n], want[at:at+n]) {
			return fmt.Errorf("wrong bytes between %d and %d", at, at+n)
		}
		at += n
		m.progress.Add(int64(n))
		if err == io.EOF && at == len(want) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", at, len(want), err)
		}
	}
}

func (m *measure) readCommand(cmd *exec.Cmd, want []byte) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = m.same(pipe, want)
	if err != nil {
		cmd.Process.Kill()
	}
	if werr := cmd.Wait(); werr != nil && err == nil {
		err = fmt.Errorf("%w: %s", werr, lastLine(stderr.String()))
	}
	return err
}

// transfer runs a command that makes a file, whose size tells how far it came when it is cut.
func (m *measure) transfer(cmd *exec.Cmd, file string) error {
	_, err := output(cmd)
	if st, serr := os.Stat(file); serr == nil {
		m.progress.Store(st.Size())
	}
	return err
}

func sameFile(path string, want []byte) error {
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: %d bytes that are not the %d written", filepath.Base(path), len(got), len(want))
	}
	return nil
}

// writeFile ends when the peer says that the bytes are safe, or, where it says so before
// they have left, when the server has them.
func (m *measure) writeFile(name string, content []byte, step int) error {
	return m.time(int64(len(content)), func() error {
		f, err := os.Create(m.onMount(m.out, name))
		if err != nil {
			return err
		}
		for at := 0; at < len(content); at += step {
			n, err := f.Write(content[at:min(at+step, len(content))])
			m.progress.Add(int64(n))
			if err != nil {
				f.Close()
				return err
			}
		}
		if m.peer.drains {
			defer m.progress.Store(0)
		} else if err := f.Sync(); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil || !m.peer.drains {
			return err
		}
		return within(m, time.Hour, func() bool {
			st, err := os.Stat(m.onServer(name))
			return err == nil && st.Size() == int64(len(content))
		})
	})
}

func (m *measure) sshWrite(name string) error {
	_, content := m.bulkFile()
	cmd := m.ssh("cat > " + quote(m.onServer(name)))
	cmd.Stdin = bytes.NewReader(content)
	defer m.account(cmd)
	return m.time(int64(len(content)), func() error { return m.transfer(cmd, m.onServer(name)) })
}

func (m *measure) sftpWrite(name string) error {
	file, content := m.bulkFile()
	// The file on the server's disk serves as a local one here: it is the same disk.
	cmd := m.sftp(fmt.Sprintf("put %s %s", filepath.Join(m.rig.data.server, file), m.onServer(name)))
	defer m.account(cmd)
	return m.time(int64(len(content)), func() error { return m.transfer(cmd, m.onServer(name)) })
}

// quote is for the shell on the server.
func quote(s string) string { return "'" + s + "'" }
