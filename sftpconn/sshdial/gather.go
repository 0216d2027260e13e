package sshdial

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// gatherLimit is how much may wait for the socket, in bytes. What waits
	// delays what is written next, so it is no more than is needed to make
	// system calls few.
	gatherLimit = 128 << 10
	// readSize is how much is asked from the socket at once, in bytes.
	readSize = 128 << 10
	// lastWords is how long reading goes on after a write has failed.
	lastWords = time.Second
	// lastArrival is how long leave waits for the server's kernel to acknowledge the last bytes. It does so within 40 ms of having them.
	lastArrival = 200 * time.Millisecond
	// headSize is how much of what came first is kept, to quote what answered
	// where that is no SSH server.
	headSize = 512
)

// gatherConn moves bytes between x/crypto/ssh and the socket in large pieces:
// the library writes each packet (at most 32 KiB) by itself and in up to three
// parts, and reads 4 KiB at a time. Write returns when the bytes are in a buffer,
// and a goroutine (flush) writes what has come together. Where that fails, the next
// Write returns the error and the connection ends a moment later. Nothing waits for
// more to come, so a lone packet is sent at once.
type gatherConn struct {
	net.Conn

	received atomic.Int64 // when the last byte came in, Unix time in ns
	ended    atomic.Bool  // a read has failed: nothing more comes in

	// Used by the goroutine that reads, alone.
	in         []byte
	inR, inW   int
	headClosed bool

	first func() // called once, when the first bytes are there; may be nil

	atOnce  atomic.Bool // see acknowledgeAtOnce
	inOrder atomic.Bool // see leave

	headMu sync.Mutex // guards head
	head   []byte     // the first bytes that came in

	before uint64 // the kernel's count of acknowledged bytes before the first was written; not changed

	mu      sync.Mutex // guards what follows; not held over a system call
	work    sync.Cond  // something is pending, or err is set
	room    sync.Cond  // pending has been taken, or err is set
	pending []byte
	taken   uint64        // bytes that Write has taken
	err     error         // of the first failed write, or net.ErrClosed
	done    chan struct{} // closed by flush at its end
}

// newGatherConn takes over conn. Close ends its goroutine.
func newGatherConn(conn net.Conn) *gatherConn {
	g := &gatherConn{Conn: conn, in: make([]byte, readSize), done: make(chan struct{})}
	g.work.L, g.room.L = &g.mu, &g.mu
	g.received.Store(time.Now().UnixNano())
	g.before, _ = g.acknowledged()
	go g.flush()
	return g
}

func (g *gatherConn) Read(p []byte) (int, error) {
	if err := g.fill(); err != nil {
		return 0, err
	}
	n := copy(p, g.in[g.inR:g.inW])
	g.inR += n
	return n, nil
}

// fill waits until there is something to read. Like Read, it is called by one goroutine at a time.
func (g *gatherConn) fill() error {
	for g.inR == g.inW {
		n, err := g.Conn.Read(g.in)
		if n <= 0 {
			if err == nil {
				continue
			}
			g.ended.Store(true)
			return err
		}
		g.received.Store(time.Now().UnixNano())
		if g.atOnce.Load() {
			g.acknowledge()
		}
		g.inR, g.inW = 0, n
		if !g.headClosed {
			g.keepHead(g.in[:n])
		}
	}
	return nil
}

// acknowledgeAtOnce has everything that comes acknowledged at once. It is for the line to a jump host: an sshd switches Nagle's algorithm
// off when a session begins, but a connection that it only passes on is no session. So it holds each small packet back until the one
// before is acknowledged, for which this machine's kernel takes up to 40 ms when it has nothing to send. On a short line that is hundreds
// of round trips.
func (g *gatherConn) acknowledgeAtOnce() { g.atOnce.Store(true) }

// acknowledge has the kernel acknowledge what has come on a TCP connection. It goes back to delaying that by itself, so this is done after
// each read.
func (g *gatherConn) acknowledge() {
	tcp, isTCP := g.Conn.(*net.TCPConn)
	if !isTCP {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
}

// keepHead keeps the first bytes that come in.
func (g *gatherConn) keepHead(p []byte) {
	g.headMu.Lock()
	defer g.headMu.Unlock()
	if len(g.head) == 0 && g.first != nil {
		g.first()
	}
	g.head = append(g.head, p[:min(len(p), headSize-len(g.head))]...)
	g.headClosed = len(g.head) == headSize
}

// greeting returns the line with which an SSH server identifies itself or, where there
// is none, the first line that came; "" where nothing came.
func (g *gatherConn) greeting() (line string, isSSH bool) {
	g.headMu.Lock()
	defer g.headMu.Unlock()
	for l := range strings.Lines(string(g.head)) {
		l = strings.TrimRight(l, "\r\n")
		if strings.HasPrefix(l, "SSH-") {
			return l, true
		}
		if line == "" {
			line = l
		}
	}
	return line, false
}

func (g *gatherConn) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.pending) >= gatherLimit && g.err == nil {
		g.room.Wait()
	}
	if g.err != nil {
		return 0, g.err
	}
	g.pending = append(g.pending, p...)
	g.taken += uint64(len(p))
	g.work.Signal()
	return len(p), nil
}

// flush writes what is pending until the connection ends.
func (g *gatherConn) flush() {
	defer close(g.done)
	var spare []byte
	for {
		g.mu.Lock()
		for len(g.pending) == 0 && g.err == nil {
			g.work.Wait()
		}
		if g.err != nil {
			g.mu.Unlock()
			return
		}
		out := g.pending
		g.pending = spare[:0]
		g.room.Broadcast()
		g.mu.Unlock()

		if _, err := g.Conn.Write(out); err != nil {
			g.fail(err)
			// What the other side has said before it hung up may tell why.
			if g.Conn.SetReadDeadline(time.Now().Add(lastWords)) != nil {
				g.Conn.Close()
			}
			return
		}
		spare = out
	}
}

func (g *gatherConn) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	g.pending = nil
	g.work.Broadcast()
	g.room.Broadcast()
}

// Close ends the connection; what is pending is dropped. It does not wait.
func (g *gatherConn) Close() error {
	g.fail(net.ErrClosed)
	if tcp, ok := g.Conn.(*net.TCPConn); ok && !(g.inOrder.Load() && g.allArrived()) {
		// What the kernel still has to send must not reach the server: a WRITE in it could arrive after one for the same bytes that
		// the next connection has sent.
		_ = tcp.SetLinger(0)
	}
	return g.Conn.Close()
}

// leave has the Close that follows end the connection with a FIN and not with a reset, which the server would log as a lost line; but
// only where the server's kernel has everything. For that it waits a moment. The kernel gives no notice of an acknowledgement, so it is
// asked again and again.
func (g *gatherConn) leave() {
	g.inOrder.Store(true)
	if _, isTCP := g.Conn.(*net.TCPConn); !isTCP {
		return
	}
	for until := time.Now().Add(lastArrival); !g.allArrived() && !g.ended.Load() && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
}

// allArrived says that the other end of a TCP connection is known to have all that Write has taken.
func (g *gatherConn) allArrived() bool {
	_, more, known := g.arrived()
	return known && more == 0
}

// program returns the program that carries the line; nil where none does.
func (g *gatherConn) program() *process {
	p, _ := g.Conn.(*process)
	return p
}

// failure says how the program that carries the line has ended; "" where it runs, or
// there is none.
func (g *gatherConn) failure() string {
	if p := g.program(); p != nil {
		return p.failure()
	}
	return ""
}

func (g *gatherConn) lastReceived() time.Time { return time.Unix(0, g.received.Load()) }

// arrived is how many of the written bytes the other end of a TCP connection has acknowledged, and how many it has not. known is false
// for another kind of connection, and for one that is closed.
func (g *gatherConn) arrived() (bytes, more uint64, known bool) {
	total, known := g.acknowledged()
	if !known {
		return 0, 0, false
	}
	bytes = total - g.before
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes, g.taken - bytes, true
}

// acknowledged is the kernel's count of bytes that the other end of a TCP connection has; ok is false for another kind of connection, and
// for one that is closed.
func (g *gatherConn) acknowledged() (bytes uint64, ok bool) {
	tcp, isTCP := g.Conn.(*net.TCPConn)
	if !isTCP {
		return 0, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			bytes, ok = info.Bytes_acked, true
		}
	})
	return bytes, ok
}
