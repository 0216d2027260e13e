package tests

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"sync"
	"testing"
)

// serveDirect listens on the loopback and gives each connection a bare sftp-server, as the option directport
// expects it; or hands the connection to serve where that is given.
func serveDirect(t *testing.T, serve func(net.Conn)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards open, nil when the test has ended
	open := map[net.Conn]bool{}
	var wg sync.WaitGroup
	if serve == nil {
		serve = plainSFTP
	}
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			mu.Lock()
			if open == nil {
				conn.Close()
			} else {
				open[conn] = true
				wg.Go(func() {
					serve(conn)
					conn.Close()
				})
			}
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		open = nil
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

// plainSFTP serves one connection with OpenSSH's sftp-server.
func plainSFTP(conn net.Conn) {
	cmd := exec.Command(sftpServer)
	in, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	cmd.Stdout = conn
	if err := cmd.Start(); err != nil {
		return
	}
	_, _ = io.Copy(in, conn)
	in.Close()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}
