package sshdial

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// askpass hands the password that was given beforehand to an external ssh: ssh runs a
// script, and the script reads a named pipe that only this user can open. So the
// password is in no environment variable and on no command line.
type askpass struct {
	dir, script, fifo string
	closed            chan struct{} // closed by close
	once              sync.Once
	wait              sync.WaitGroup // of serve
	given             atomic.Bool    // the password was asked for
}

// askpassScript answers questions for a password, and no others: the password must not
// be the answer to the question whether a host key is right.
const askpassScript = `#!/bin/sh
case "$1" in
*[Pp]assword*) exec cat %s ;;
esac
exit 1
`

func newAskpass(password []byte) (*askpass, error) {
	dir, err := os.MkdirTemp("", "sshmount-ask-")
	if err != nil {
		return nil, err
	}
	a := &askpass{dir: dir, script: filepath.Join(dir, "ask"), fifo: filepath.Join(dir, "word"), closed: make(chan struct{})}
	err = errors.Join(
		os.WriteFile(a.script, fmt.Appendf(nil, askpassScript, quote(a.fifo)), 0o700),
		syscall.Mkfifo(a.fifo, 0o600))
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	word := slices.Concat(password, []byte{'\n'}) // one piece of memory, so that all of it is wiped
	a.wait.Go(func() { a.serve(word) })
	return a, nil
}

// serve gives the password to the first reader, until close. A second question means
// that the password was wrong: it gets an empty answer, so that ssh gives up.
func (a *askpass) serve(word []byte) {
	defer wipe(word)
	for first := true; ; first = false {
		// Opening waits for a reader.
		f, err := os.OpenFile(a.fifo, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		select {
		case <-a.closed:
			f.Close()
			return
		default:
		}
		if first {
			f.Write(word)
			a.given.Store(true)
		}
		f.Close()
	}
}

func (a *askpass) close() {
	a.once.Do(func() {
		close(a.closed)
		// serve waits for somebody who reads.
		if f, err := os.OpenFile(a.fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
			a.wait.Wait()
			f.Close()
		}
		os.RemoveAll(a.dir)
	})
}
