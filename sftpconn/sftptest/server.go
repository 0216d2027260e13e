package sftptest

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"sshmount/sftpconn/transport"
)

// ErrCut is what reads, writes and transports fail with after Cut.
var ErrCut = errors.New("the line was cut")

// places are where distributions keep sftp-server.
var places = []string{
	"/usr/lib/openssh/sftp-server",
	"/usr/libexec/openssh/sftp-server",
	"/usr/lib/ssh/sftp-server",
	"/usr/libexec/sftp-server",
}

// Program finds OpenSSH's sftp-server on this machine, and fails the test where there is none.
func Program(t testing.TB) string {
	t.Helper()
	for _, p := range places {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p
		}
	}
	t.Fatalf("no sftp-server in %v: install OpenSSH's (package openssh-sftp-server or openssh)", places)
	return ""
}

// Option changes what New makes.
type Option func(*Server)

// InDir makes the server work in dir instead of a fresh directory of the test.
func InDir(dir string) Option { return func(s *Server) { s.dir = dir } }

// Args are further arguments of sftp-server: "-R" to only read, "-u", "027" for a
// umask, "-P", "fsync,limits" to deny requests.
func Args(args ...string) Option { return func(s *Server) { s.args = append(s.args, args...) } }

// Command runs another program in the place of sftp-server, with its arguments:
// a shell that talks first, say. Args has no meaning then.
func Command(program string, args ...string) Option {
	return func(s *Server) { s.program, s.command = program, args }
}

// MaxChannels limits the channels that are open at a time on each connection;
// more get transport.ErrNoMoreChannels.
func MaxChannels(n int) Option { return func(s *Server) { s.maxChannels = n } }

// NoProbe makes Probe answer transport.ErrNoProbe, as a line without SSH does.
func NoProbe() Option { return func(s *Server) { s.noProbe = true } }

// WithTap puts tap on every channel.
func WithTap(tap *Tap) Option { return func(s *Server) { s.tap = tap } }

// Server is a host with an SFTP server, and the line to it. Its methods may be
// called from several goroutines, also from hooks of a Tap.
type Server struct {
	program     string
	dir         string
	args        []string // further ones of sftp-server
	command     []string // all arguments of program
	maxChannels int      // 0: no limit
	noProbe     bool
	tap         *Tap

	mu     sync.Mutex // guards what follows; a leaf
	refuse error
	thawed chan struct{} // closed while the line is not frozen
	budget int64         // bytes that still pass before the line is cut; -1: no limit
	lines  map[*line]bool
	dials  int

	processes sync.WaitGroup
}

// New makes a server that ends with the test.
func New(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{
		thawed: make(chan struct{}),
		budget: -1,
		lines:  make(map[*line]bool),
	}
	close(s.thawed)
	for _, o := range options {
		o(s)
	}
	if s.program == "" {
		s.program = Program(t)
		// -e: what it has to say goes to standard error, and not to this machine's log.
		s.command = append([]string{"-e"}, s.args...)
	}
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	t.Cleanup(func() {
		s.Refuse(errors.New("the test is over"))
		s.Cut()
		s.Thaw()
		s.processes.Wait()
	})
	return s
}

// Dir is the directory in which the server works.
func (s *Server) Dir() string { return s.dir }

// Dial is a transport.Dialer. On a frozen line it waits.
func (s *Server) Dial(ctx context.Context) (transport.Transport, error) {
	s.mu.Lock()
	s.dials++
	s.mu.Unlock()
	if err := s.pass(ctx.Done(), nil); err != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	l := newLine(s)
	s.lines[l] = true
	return l, nil
}

// Dials is how often Dial was called, refused ones too.
func (s *Server) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// Connections is the number of connections that are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

// Refuse makes Dial fail with err from now on, or succeed again with nil.
func (s *Server) Refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

// Cut breaks every open connection at once: reads and writes fail, also those
// under way. When it returns, the server processes behind them are dead: nothing
// sent on the old line can still be done. The next Dial succeeds.
func (s *Server) Cut() {
	s.mu.Lock()
	s.budget = -1
	lines := slices.Collect(maps.Keys(s.lines))
	s.mu.Unlock()
	for _, l := range lines {
		l.end(ErrCut)
	}
}

// CutAfterBytes cuts when n more bytes have passed, both ways and all channels
// counted together: in the middle of a packet, if it comes so.
func (s *Server) CutAfterBytes(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.budget = n
}

// Freeze makes the line a black hole: no byte passes either way, new dials hang,
// and nothing fails.
func (s *Server) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.thawed:
		s.thawed = make(chan struct{})
	default:
	}
}

// Thaw lets everything pass again, also what was sent meanwhile.
func (s *Server) Thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.thawed:
	default:
		close(s.thawed)
	}
}

// pass waits while the line is frozen, until one of two channels is closed.
func (s *Server) pass(a, b <-chan struct{}) error {
	for {
		s.mu.Lock()
		thawed := s.thawed
		s.mu.Unlock()
		select {
		case <-thawed:
			return nil
		default:
		}
		select {
		case <-thawed:
		case <-a:
			return ErrCut
		case <-b:
			return ErrCut
		}
	}
}

// spend takes n bytes from the budget: ok of them may pass, and where cut is
// true the line ends after them.
func (s *Server) spend(n int) (ok int, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.budget < 0 {
		return n, false
	}
	ok = int(min(s.budget, int64(n)))
	s.budget -= int64(ok)
	return ok, s.budget == 0
}

func (s *Server) forget(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lines, l)
}
