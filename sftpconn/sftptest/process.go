package sftptest

import (
	"fmt"
	"os"
	"os/exec"
	"sync"

	"sshmount/sftpconn/transport"
)

var _ = (transport.Channel)((*process)(nil))

// process is one sftp-server and the pipes to it.
type process struct {
	cmd     *exec.Cmd
	in, out *os.File
	remarks remarks
	once    sync.Once
	dead    chan struct{} // closed when the process has ended
}

func startProcess(s *Server) (*process, error) {
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		childIn.Close()
		in.Close()
		return nil, err
	}
	p := &process{in: in, out: out, dead: make(chan struct{})}
	p.cmd = exec.Command(s.program, s.command...)
	p.cmd.Dir = s.dir
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = childIn, childOut, &p.remarks
	err = p.cmd.Start()
	childIn.Close()
	childOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("start %s: %w", s.program, err)
	}
	s.processes.Go(func() {
		defer close(p.dead)
		p.cmd.Wait() // killed by Close, or over by itself: either way only its end matters
	})
	return p, nil
}

func (p *process) Read(b []byte) (int, error)  { return p.out.Read(b) }
func (p *process) Write(b []byte) (int, error) { return p.in.Write(b) }
func (p *process) Remarks() string             { return p.remarks.String() }

// Close kills the process, and waits for its end.
func (p *process) Close() error {
	p.once.Do(func() {
		p.cmd.Process.Kill()
		p.in.Close()
		p.out.Close()
	})
	<-p.dead
	return nil
}

// remarks keeps the first 4 KiB of standard error.
type remarks struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (r *remarks) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = append(r.text, b[:min(len(b), 4<<10-len(r.text))]...)
	return len(b), nil
}

func (r *remarks) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.text)
}
