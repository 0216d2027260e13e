package line

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one connection through the line: two sockets, and a pipe each way.
type conn struct {
	line   *Line
	client *net.TCPConn
	opened time.Duration   // when a handshake over the line would have told the client that it is connected
	ctx    context.Context // ends with the connection
	end    context.CancelFunc

	lost [2]atomic.Bool // what goes this way vanishes from now on

	dialed chan struct{} // closed by run when dialing has ended
	mu     sync.Mutex    // guards server until dialed is closed; a leaf
	server *net.TCPConn  // nil where the server could not be reached
}

func newConn(l *Line, client *net.TCPConn) *conn {
	c := &conn{line: l, client: client, dialed: make(chan struct{})}
	c.opened = l.now() + l.links[Up].get().Delay + l.links[Down].get().Delay
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// run carries bytes until both directions have ended.
func (c *conn) run() {
	defer c.end()
	defer c.client.Close()
	var pipes sync.WaitGroup
	up := newPipe(c, Up, c.client)
	pipes.Go(up.read)
	pipes.Go(up.write)
	err := c.dial()
	close(c.dialed)
	if err != nil {
		// Over a real line the refusal would have come to the handshake; here the
		// client is already connected, and a reset is the nearest thing.
		c.sleep(c.line.links[Down].get().Delay)
		c.reset()
	} else {
		defer c.server.Close()
		down := newPipe(c, Down, c.server)
		pipes.Go(down.read)
		pipes.Go(down.write)
	}
	pipes.Wait()
}

// dial connects to the server when the client's handshake would have reached it.
func (c *conn) dial() error {
	l := c.line
	if !c.sleep(c.opened + l.links[Up].get().Delay - l.now()) {
		return c.ctx.Err()
	}
	if _, ok := l.pass(c, Up); !ok {
		return c.ctx.Err()
	}
	if c.lost[Up].Load() { // swallowed before it ever reached the server
		<-c.ctx.Done()
		return c.ctx.Err()
	}
	d := net.Dialer{Control: l.socketOptions(Down)}
	nc, err := d.DialContext(c.ctx, "tcp", l.target)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.server = nc.(*net.TCPConn)
	c.mu.Unlock()
	if err := c.ctx.Err(); err != nil { // reset meanwhile, by someone who saw no server yet
		abort(c.server)
		return err
	}
	return nil
}

// reset ends both sides with a RST, at once.
func (c *conn) reset() {
	c.end()
	abort(c.client)
	c.resetServer()
}

func (c *conn) resetServer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		abort(c.server)
	}
}

// abort closes a socket with a RST instead of a FIN.
func abort(s *net.TCPConn) {
	s.SetLinger(0)
	s.Close()
}

// sleep waits, and says whether the connection is still there afterwards.
func (c *conn) sleep(d time.Duration) bool {
	if d <= 0 {
		return c.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}
