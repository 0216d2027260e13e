// Package sftpserve is an SSH server that serves SFTP and nothing else: for
// trying things out where no sshd is installed, and for tests. It listens on
// loopback unless told otherwise, lets in by public key alone, and runs no
// command and no shell.
//
// A client sees the whole file system with the rights of the process; Dir is
// where it begins, not where it ends.
package sftpserve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

const (
	// handshakeTimeout bounds the login, so that a silent client costs nothing for long.
	handshakeTimeout = 30 * time.Second
	// maxSessions is how many SFTP sessions a connection may have at a time, as in sshd.
	maxSessions = 10
)

// Options of a server. The zero value of a field means its default.
type Options struct {
	Listen   string          // address and port; default 127.0.0.1 and a free one
	Dir      string          // where sessions begin; default the working directory
	ReadOnly bool            // every change is refused
	HostKey  ssh.Signer      // default a fresh ed25519 key
	Users    []ssh.PublicKey // who may log in, under any user name
	Logger   *slog.Logger    // default none
}

// Server is a server that runs.
type Server struct {
	o        Options
	config   *ssh.ServerConfig
	listener net.Listener
	wg       sync.WaitGroup // every goroutine of the server

	mu     sync.Mutex // guards what follows
	closed bool
	conns  map[net.Conn]struct{}
}

// Start begins to listen and serve.
func Start(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("directory to serve: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("directory to serve: %s is not a directory", dir)
	}
	o.Dir = dir
	if len(o.Users) == 0 {
		return nil, errors.New("nobody could log in: there is no authorized key")
	}
	if o.HostKey == nil {
		if o.HostKey, _, err = NewKey(); err != nil {
			return nil, err
		}
	}
	s := &Server{o: o, conns: map[net.Conn]struct{}{}}
	s.config = &ssh.ServerConfig{PublicKeyCallback: s.admit, MaxAuthTries: 6}
	s.config.AddHostKey(o.HostKey)
	if s.listener, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("listening on %s: %w", o.Listen, err)
	}
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// HostKey is what a client should see.
func (s *Server) HostKey() ssh.PublicKey { return s.o.HostKey.PublicKey() }

// Close ends every connection and returns when nothing of the server runs any
// more. A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	var err error
	if !s.closed {
		err = s.listener.Close()
	}
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// admit lets in whoever has one of the keys.
func (s *Server) admit(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	for _, known := range s.o.Users {
		if bytes.Equal(known.Marshal(), key.Marshal()) {
			return nil, nil
		}
	}
	return nil, errors.New("unknown key")
}

// accept takes connections until the listener is closed.
func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.o.Logger.Error("accepting a connection", "error", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors: give some back first
			continue
		}
		if !s.add(conn) {
			conn.Close()
			return
		}
		s.wg.Go(func() {
			defer s.remove(conn)
			s.serve(conn)
		})
	}
}

// add notes a connection, and returns false once the server is closed.
func (s *Server) add(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) remove(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// serve is the life of one connection.
func (s *Server) serve(conn net.Conn) {
	log := s.o.Logger.With("client", conn.RemoteAddr().String())
	conn.SetDeadline(time.Now().Add(handshakeTimeout))
	sc, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		log.Info("no login", "error", err)
		return
	}
	conn.SetDeadline(time.Time{})
	log.Info("login", "user", sc.User())
	defer log.Info("end of the connection")
	// Each global request is refused, which is all the answer that a keepalive wants.
	go ssh.DiscardRequests(requests)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	places := make(chan struct{}, maxSessions)
	for c := range channels {
		if c.ChannelType() != "session" {
			c.Reject(ssh.UnknownChannelType, "only sessions are served")
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			c.Reject(ssh.ResourceShortage, "too many sessions")
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			<-places
			continue
		}
		sessions.Go(func() {
			defer func() { <-places }()
			s.session(channel, requests, log)
		})
	}
}

// session waits for the request of the subsystem, and serves it.
func (s *Server) session(channel ssh.Channel, requests <-chan *ssh.Request, log *slog.Logger) {
	defer channel.Close()
	for r := range requests {
		var subsystem struct{ Name string }
		ok := r.Type == "subsystem" && ssh.Unmarshal(r.Payload, &subsystem) == nil && subsystem.Name == "sftp"
		if r.WantReply {
			r.Reply(ok, nil)
		}
		if !ok {
			continue
		}
		go ssh.DiscardRequests(requests)
		if err := s.sftp(channel); err != nil {
			log.Warn("end of a session", "error", err)
		}
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
		return
	}
}

func (s *Server) sftp(channel ssh.Channel) error {
	options := []sftp.ServerOption{sftp.WithAllocator()}
	if s.o.ReadOnly {
		options = append(options, sftp.ReadOnly())
	}
	server, err := sftp.NewServer(struct {
		io.Reader
		io.WriteCloser
	}{newAbsolute(channel, s.o.Dir), channel}, options...)
	if err != nil {
		return err
	}
	err = server.Serve()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, ignoreEOF(server.Close()))
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
