package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"sshmount/tests/proc"
)

// sample is the outcome of one measure.
type sample struct {
	Profile string        `json:"profile"`
	Work    string        `json:"work"`
	Peer    string        `json:"peer"`
	Round   int           `json:"round"`
	Elapsed time.Duration `json:"elapsed_ns"`
	Bytes   int64         `json:"bytes,omitempty"` // transferred; less than the work's when cut
	CPU     time.Duration `json:"cpu_ns"`          // of all the peer's processes
	Peak    int64         `json:"peak_bytes"`      // their largest resident sizes, added up
	Drain   time.Duration `json:"drain_ns"`        // how long unmounting took afterwards
	Cut     bool          `json:"cut,omitempty"`   // given up for taking too long
	Failed  string        `json:"failed,omitempty"`
	Extra   float64       `json:"extra,omitempty"` // a second figure that some works have
}

// rate in bytes per second.
func (s sample) rate() float64 { return float64(s.Bytes) / s.Elapsed.Seconds() }

// measure is one work, done once, by one peer over one line.
type measure struct {
	ctx     context.Context // ends when the measure is cut
	rig     *rig
	profile *profile
	peer    *peer
	work    *work
	scratch string // local, removed afterwards
	mnt     string // where the peer mounts
	out     string // name of the folder to write into, below the server's directory
	pid     int    // of the mounted peer
	sample  sample

	progress atomic.Int64 // bytes so far
	mu       sync.Mutex   // guards began; a leaf
	began    time.Time    // of what is timed; zero before
}

var errCut = errors.New("cut: it took too long")

// run does everything: prepare, mount, work, unmount, check.
func (r *rig) run(ctx context.Context, p *profile, w *work, pe *peer, round int, timeout time.Duration) sample {
	m := &measure{rig: r, profile: p, peer: pe, work: w}
	m.sample = sample{Profile: p.name, Work: w.name, Peer: pe.name, Round: round}
	r.count++
	m.scratch = filepath.Join(r.dir, fmt.Sprintf("measure%d", r.count))
	m.mnt = filepath.Join(m.scratch, "mnt")
	m.out = fmt.Sprintf("out%d", r.count)
	err := func() error {
		if err := os.MkdirAll(m.mnt, 0o755); err != nil {
			return err
		}
		if err := os.Mkdir(m.onServer(), 0o755); err != nil {
			return err
		}
		if w.prepare != nil {
			if err := w.prepare(m); err != nil {
				return fmt.Errorf("preparing: %w", err)
			}
		}
		if r.dropCaches {
			if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
				return err
			}
		}
		cut, cancel := context.WithTimeoutCause(ctx, timeout, errCut)
		defer cancel()
		m.ctx = cut
		if err := m.doWork(ctx); err != nil {
			return err
		}
		if w.check != nil {
			if err := w.check(m); err != nil {
				return fmt.Errorf("wrong result: %w", err)
			}
		}
		return nil
	}()
	if err != nil && m.ctx != nil && errors.Is(context.Cause(m.ctx), errCut) {
		m.sample.Cut, err = true, nil
		m.mu.Lock()
		if m.sample.Elapsed == 0 && !m.began.IsZero() {
			m.sample.Elapsed = time.Since(m.began)
		}
		m.mu.Unlock()
		if m.sample.Elapsed == 0 {
			m.sample.Elapsed = timeout
		}
		m.sample.Bytes = m.progress.Load()
	}
	if err != nil {
		m.sample.Failed = err.Error()
	}
	os.RemoveAll(m.scratch)
	os.RemoveAll(m.onServer())
	return m.sample
}

// doWork mounts where the peer is one that mounts, and leaves nothing mounted or running behind.
func (m *measure) doWork(ctx context.Context) error {
	if m.peer.mount == nil || m.work.unmounted {
		return m.work.run[kind(m.peer)](m)
	}
	unmount, kill, err := m.mountForeground()
	if err != nil {
		return err
	}
	// Work on a mount may hang in the kernel, where only the end of the mount frees it.
	worked := make(chan error, 1)
	go func() {
		// sshfs mounts before it has logged in: it is ready when it answers.
		if _, err := os.Stat(m.mnt); err != nil {
			worked <- err
			return
		}
		worked <- m.work.run[kind(m.peer)](m)
	}()
	select {
	case err = <-worked:
	case <-m.ctx.Done():
		select {
		case err = <-worked:
		case <-time.After(500 * time.Millisecond):
			kill()
			select {
			case err = <-worked:
			case <-time.After(20 * time.Second):
			}
		}
		if err == nil {
			err = context.Cause(m.ctx)
		}
	}
	if err != nil {
		kill()
		return err
	}
	if m.peer.drains && m.work.check != nil {
		// Wait until everything has arrived; the check itself comes after this.
		deadline := time.Now().Add(30 * time.Second)
		for m.work.check(m) != nil && time.Now().Before(deadline) && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
	return unmount()
}

// time runs what counts, and accounts for it.
func (m *measure) time(bytes int64, f func() error) error {
	var before time.Duration
	if m.pid != 0 {
		before = proc.CPU(proc.Family(m.pid))
	}
	m.progress.Store(0)
	stop := func() int64 { return 0 }
	if m.peer.mount == nil {
		stop = watchPeak()
	}
	m.mu.Lock()
	m.began = time.Now()
	m.mu.Unlock()
	err := f()
	elapsed := time.Since(m.began)
	peak := stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil && err == nil {
		err = context.Cause(m.ctx)
	}
	m.sample.Elapsed, m.sample.Bytes, m.sample.Peak = elapsed, bytes, peak
	if m.pid != 0 {
		family := proc.Family(m.pid)
		m.sample.CPU = proc.CPU(family) - before
		m.sample.Peak = proc.Peak(family)
	}
	return err
}

func (m *measure) onMount(path ...string) string {
	return filepath.Join(append([]string{m.mnt}, path...)...)
}

// onServer is a path below this measure's own folder, on the server's disk.
func (m *measure) onServer(path ...string) string {
	return filepath.Join(append([]string{m.rig.data.server, m.out}, path...)...)
}

// kind chooses the way a work is done.
func kind(p *peer) string {
	if p.mount != nil {
		return "mount"
	}
	return p.name
}

// gone says that nothing is there any more.
func gone(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there", filepath.Base(path))
	}
	return nil
}
