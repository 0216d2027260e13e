package control

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// watchInterval is how often a mount looks whether it can still be found.
const watchInterval = 30 * time.Second

// watch makes socket and record anew where somebody took them away: systemd removes the user's runtime directory at the
// last logout, and cleaners of /tmp what looks old, while the mount goes on.
func (s *Server) watch(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	said := false
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		err := s.look()
		if err != nil && !said { // it is tried again, in silence
			s.log.Warn("socket and record were taken away: 'sshmount status', 'sync' and 'umount' do not find this mount", "error", err)
		}
		said = err != nil
	}
}

// look makes socket and record anew where they are not found.
func (s *Server) look() error {
	before := s.Record()
	if before.found() {
		return nil
	}
	if err := s.listen(); err != nil {
		return err
	}
	s.log.Info("socket and record were taken away, and are made anew", "before", before.socket(), "now", s.Record().socket())
	return nil
}

// found says whether socket and record are where they were made, or have given way to those of a newer mount.
func (r Record) found() bool {
	now, err := load(r.file())
	if err == nil && !r.sameProcess(now) {
		return true
	}
	_, missing := os.Lstat(r.socket())
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(missing, fs.ErrNotExist)
}
