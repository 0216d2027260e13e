package tests

import (
	"bytes"
	be "encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"time"

	"sshmount/tests/sshd"
)

// Types of SFTP packets (draft-ietf-secsh-filexfer-02, section 3).
const (
	sftpRead   = 5
	sftpStatus = 101
	sftpData   = 103
	sftpAttrs  = 105
)

// earlyEnd is how many bytes of a file there are for a server that ends files before their size.
const earlyEnd = 6

// answering is how a server double changes the answers of the real server behind it. It gets a packet without its length, and
// the READ that it answers (zero where it answers anything else), and returns the packets to send in its place. When none has
// come for a moment it gets nil, to let go of what it holds.
type answering func(packet []byte, r asked) [][]byte

// asked is what a READ asks for.
type asked struct {
	off uint64
	n   uint32
}

// setData makes data the content of a DATA.
func setData(p, data []byte) []byte {
	return append(be.BigEndian.AppendUint32(p[:5:5], uint32(len(data))), data...)
}

// onData changes the content of each DATA alone.
func onData(change func(data []byte, r asked) []byte) answering {
	return func(p []byte, r asked) [][]byte {
		switch {
		case p == nil:
			return nil
		case p[0] == sftpData:
			p = setData(p, change(p[9:], r))
		}
		return [][]byte{p}
	}
}

// doubles are the ways in which servers answer that keep to the letter of the protocol, or not even to that.
var doubles = map[string]answering{
	"half of what was asked for": onData(func(data []byte, _ asked) []byte { return data[:(len(data)+1)/2] }),
	"no byte, the first time":    onData(notAtFirst()),
	"never a byte":               onData(func([]byte, asked) []byte { return nil }),
	"more than was asked for": onData(func(data []byte, r asked) []byte {
		return append(data, bytes.Repeat([]byte("?"), int(r.n)-len(data)+1)...)
	}),
	"in another order": disordered(),
	"an hour ahead":    ahead,
	"an end before the size": func(p []byte, r asked) [][]byte {
		switch {
		case p == nil:
			return nil
		case p[0] != sftpData:
		case r.off >= earlyEnd:
			const eof = 1
			p = append(be.BigEndian.AppendUint32(append([]byte{sftpStatus}, p[1:5]...), eof), make([]byte, 8)...) // without a text
		default:
			p = setData(p, p[9:min(len(p), 9+earlyEnd-int(r.off))])
		}
		return [][]byte{p}
	},
}

// notAtFirst gives nothing where a place is read for the first time.
func notAtFirst() func([]byte, asked) []byte {
	seen := map[uint64]bool{}
	return func(data []byte, r asked) []byte {
		if !seen[r.off] {
			seen[r.off] = true
			return nil
		}
		return data
	}
}

// ahead shows the times of what it is asked about as a server does whose clock is an hour ahead.
func ahead(p []byte, _ asked) [][]byte {
	if p == nil {
		return nil
	}
	const size, ids, mode, times = 1, 2, 4, 8 // flags of attributes, and the order in which these follow
	if p[0] == sftpAttrs {
		flags, at := be.BigEndian.Uint32(p[5:]), p[9:]
		for _, field := range []struct {
			flag uint32
			long int
		}{{size, 8}, {ids, 8}, {mode, 4}} {
			if flags&field.flag != 0 {
				at = at[field.long:]
			}
		}
		if flags&times != 0 {
			for ; len(at) > 0; at = at[4:] {
				be.BigEndian.PutUint32(at, be.BigEndian.Uint32(at)+3600)
			}
		}
	}
	return [][]byte{p}
}

func disordered() answering {
	const most = 4
	r := rand.New(rand.NewPCG(1, 2))
	var held [][]byte
	return func(p []byte, _ asked) [][]byte {
		if p != nil {
			if held = append(held, p); len(held) < most {
				return nil
			}
		}
		out := held
		held = nil
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out
	}
}

// serveDouble is the helper that stands in front of a real sftp-server.
func serveDouble(args []string) error {
	answer := doubles[args[0]]
	program, err := sshd.SFTPServer()
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var mu sync.Mutex // guards reads
	reads := map[uint32]asked{}
	go func() {
		defer in.Close()
		for {
			p, err := readPacket(os.Stdin)
			if err != nil {
				return
			}
			if p[0] == sftpRead {
				mu.Lock()
				reads[be.BigEndian.Uint32(p[1:])] = asked{be.BigEndian.Uint64(p[len(p)-12:]), be.BigEndian.Uint32(p[len(p)-4:])}
				mu.Unlock()
			}
			if writePacket(in, p) != nil {
				return
			}
		}
	}()
	version, err := readPacket(out)
	if err != nil {
		return err
	}
	if err := writePacket(os.Stdout, version); err != nil {
		return err
	}
	packets := make(chan []byte) // closed by the goroutine that reads the server's answers
	go func() {
		defer close(packets)
		for {
			p, err := readPacket(out)
			if err != nil {
				return
			}
			packets <- p
		}
	}()
	for {
		var send [][]byte
		select {
		case p, ok := <-packets:
			if !ok {
				return cmd.Wait()
			}
			mu.Lock()
			r := reads[be.BigEndian.Uint32(p[1:])]
			mu.Unlock()
			send = answer(p, r)
		case <-time.After(10 * time.Millisecond):
			send = answer(nil, asked{})
		}
		for _, p := range send {
			if err := writePacket(os.Stdout, p); err != nil {
				return err
			}
		}
	}
}

func readPacket(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := be.BigEndian.Uint32(head[:])
	if n < 5 || n > 1<<20 {
		return nil, fmt.Errorf("a packet of %d bytes", n)
	}
	p := make([]byte, n)
	_, err := io.ReadFull(r, p)
	return p, err
}

func writePacket(w io.Writer, p []byte) error {
	_, err := w.Write(append(be.BigEndian.AppendUint32(nil, uint32(len(p))), p...))
	return err
}
