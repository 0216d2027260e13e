package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"sshmount/tests/line"
	"sshmount/tests/sshd"
)

// rig is what all measures share.
type rig struct {
	dir        string // everything else is below it
	server     *sshd.Server
	sshConfig  string
	data       *data
	lines      []*farLine
	dropCaches bool
	extra      []string // for sshmount's command line
	count      int      // of measures so far
}

func newRig(folder string, profiles []*profile) (r *rig, err error) {
	if folder == "" {
		var st syscall.Statfs_t
		if syscall.Statfs("/dev/shm", &st) == nil && st.Bavail*uint64(st.Bsize) > 8<<30 {
			folder = "/dev/shm"
		}
	}
	r = &rig{}
	if r.dir, err = os.MkdirTemp(folder, "sshmount-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	var dirs [3]string
	for i, name := range []string{"sshd", "server", "local"} {
		dirs[i] = filepath.Join(r.dir, name)
		if err := os.Mkdir(dirs[i], 0o755); err != nil {
			return nil, err
		}
	}
	if r.server, err = sshd.Start(sshd.Config{Dir: dirs[0]}); err != nil {
		return nil, err
	}
	if r.sshConfig, err = r.server.ClientConfig(); err != nil {
		return nil, err
	}
	for _, p := range profiles {
		p.port = r.server.Port
		if p.rate == 0 {
			continue
		}
		l, err := startLine(fmt.Sprintf("127.0.0.1:%d", r.server.Port), line.Config{Delay: p.rtt / 2, BytesPerSecond: p.rate})
		if err != nil {
			return nil, err
		}
		r.lines = append(r.lines, l)
		p.port = l.port
		if err := r.server.KnownHosts(l.addr); err != nil {
			return nil, err
		}
	}
	fmt.Fprintln(os.Stderr, "making data in", r.dir)
	r.data, err = makeData(dirs[1], dirs[2])
	return r, err
}

func (r *rig) close() {
	for _, l := range r.lines {
		l.close()
	}
	if r.server != nil {
		r.server.Stop()
	}
	os.RemoveAll(r.dir)
}
