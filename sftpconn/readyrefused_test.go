package sftpconn

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sshmount/sftpconn/transport"
)

// startingServer is a server whose file systems are not mounted yet: it has nothing until it is ready, and then whatever is looked for.
type startingServer struct {
	looks atomic.Int32
	ready atomic.Bool
}

// startingLooks is how many looks the server bears.
const startingLooks = 1000

func (s *startingServer) serve(line net.Conn) {
	defer line.Close()
	for greeted := false; ; greeted = true {
		var length [4]byte
		if _, err := io.ReadFull(line, length[:]); err != nil {
			return
		}
		request := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(line, request); err != nil {
			return
		}
		answer := []byte{2, 0, 0, 0, 3} // VERSION
		switch {
		case !greeted:
		case s.ready.Load():
			answer = append([]byte{105}, request[1:5]...) // ATTRS
			answer = append(answer, 0, 0, 0, 4, 0, 0, 0o100, 0)
			binary.BigEndian.PutUint32(answer[9:], 0o40755)
		default:
			if s.looks.Add(1) > startingLooks {
				return
			}
			answer = append([]byte{101}, request[1:5]...)               // STATUS
			answer = append(answer, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0) // no such file
		}
		if _, err := line.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...)); err != nil {
			return
		}
	}
}

type startingLine struct {
	*stubLine
	server *startingServer
}

func (l startingLine) OpenChannel(context.Context) (transport.Channel, error) {
	ours, theirs := net.Pipe()
	go l.server.serve(theirs)
	return stubChannel{ours}, nil
}

// A server that is starting refuses logins at first, and then lets us in before its file systems are mounted. That it has refused before
// says nothing about the pauses between two looks.
func TestARefusalBeforeDoesNotChangeHowARootIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &startingServer{}
		var gate stubGate
		c := underStub(t, func(ctx context.Context) (transport.Transport, error) {
			if tr, err := gate.dial(ctx); err != nil {
				return tr, err
			}
			return startingLine{gate.line.(*stubLine), server}, nil
		}, func(o *Options) { o.ReconnectTimeout = time.Hour })
		c.KeepIn("/data")
		gate.shut(&transport.PermanentError{Err: errors.New("the system is booting up"), Login: true})
		time.Sleep(time.Second)
		c.nudge() // the network changes
		gate.open()
		time.Sleep(10 * time.Minute)
		if n := server.looks.Load(); n < 10 || n > 100 {
			t.Fatalf("the root was looked for %d times", n)
		}
		server.ready.Store(true)
		begun := time.Now()
		if _, err := c.Lstat(limited(t), "/data/f"); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 3*backoffWaiting {
			t.Errorf("a program waits for %v", took)
		}
	})
}
