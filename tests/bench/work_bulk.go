package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// bulkFile is the name and content of the large file that suits a line's rate.
func (m *measure) bulkFile() (name string, content []byte) {
	if fast(m.profile) {
		return "bulk", m.rig.data.bulk
	}
	return "bulk16", m.rig.data.bulk[:16*mib]
}

func bulkWorks() []*work {
	return []*work{
		{
			name: "sequential read", bulk: true, short: true,
			run: map[string]func(*measure) error{
				"mount": func(m *measure) error {
					name, want := m.bulkFile()
					return m.time(int64(len(want)), func() error { return m.readFile(m.onMount(name), want) })
				},
				nameSSH: func(m *measure) error {
					name, want := m.bulkFile()
					cmd := m.ssh("cat " + quote(filepath.Join(m.rig.data.server, name)))
					defer m.account(cmd)
					return m.time(int64(len(want)), func() error { return m.readCommand(cmd, want) })
				},
				nameSFTP: func(m *measure) error {
					name, want := m.bulkFile()
					local := filepath.Join(m.scratch, "got")
					cmd := m.sftp(fmt.Sprintf("get %s %s", filepath.Join(m.rig.data.server, name), local))
					err := m.time(int64(len(want)), func() error { return m.transfer(cmd, local) })
					m.account(cmd)
					return errors.Join(err, sameFile(local, want))
				},
			},
		},
		{
			name: "sequential write with fsync", bulk: true, short: true, changes: true,
			run: map[string]func(*measure) error{
				"mount":  func(m *measure) error { _, want := m.bulkFile(); return m.writeFile("written", want, 1<<20) },
				nameSSH:  func(m *measure) error { return m.sshWrite("written") },
				nameSFTP: func(m *measure) error { return m.sftpWrite("written") },
			},
			check: func(m *measure) error { _, want := m.bulkFile(); return sameFile(m.onServer("written"), want) },
		},
		{
			name: "writes of 4 KiB, fsync at the end", bulk: true, changes: true, short: true,
			run:   mounts(func(m *measure) error { _, want := m.bulkFile(); return m.writeFile("written", want, 4<<10) }),
			check: func(m *measure) error { _, want := m.bulkFile(); return sameFile(m.onServer("written"), want) },
		},
		{
			name: "re-read of an unchanged file", bulk: true, on: fast, short: true,
			run: mounts(func(m *measure) error {
				const size = 64 * mib
				want := m.rig.data.bulk[:size]
				if err := m.readFile(m.onMount("par0"), want); err != nil {
					return err
				}
				return m.time(size, func() error { return m.readFile(m.onMount("par0"), want) })
			}),
		},
		{
			name: "four parallel reads", bulk: true, on: fast, short: true,
			run: map[string]func(*measure) error{"mount": readFour, nameSSH: readFourOverSSH},
		},
		{
			name: "200 random reads of 4 KiB", perOp: 200, short: true,
			run: mounts(randomReads),
		},
		{
			name: "cp of 1 GiB in and out", bulk: true,
			on:      func(p *profile) bool { return fast(p) && p.rtt <= 50*time.Millisecond },
			prepare: writeGiB,
			run:     mounts(copyInAndOut),
			check:   checkCopies,
		},
		{
			name: "read of 16 MiB while asking", bulk: true, extra: "median answer to a chmod meanwhile", extraUnit: "ms",
			on:  func(p *profile) bool { return !fast(p) },
			run: mounts(readWhileAsking),
			prepare: func(m *measure) error {
				return os.WriteFile(m.onServer("asked"), nil, 0o600)
			},
		},
	}
}

func (m *measure) parPart(i int) []byte { return m.rig.data.bulk[i*64*mib:][:64*mib] }

func (m *measure) four(f func(i int) error) error {
	var errs [4]error
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

func readFour(m *measure) error {
	return m.time(bulkSize, func() error {
		return m.four(func(i int) error {
			return m.readFile(m.onMount(fmt.Sprint("par", i)), m.parPart(i))
		})
	})
}

func readFourOverSSH(m *measure) error {
	var cmds [4]*exec.Cmd
	for i := range cmds {
		cmds[i] = m.ssh("cat " + quote(filepath.Join(m.rig.data.server, fmt.Sprint("par", i))))
	}
	defer m.account(cmds[:]...)
	return m.time(bulkSize, func() error {
		return m.four(func(i int) error { return m.readCommand(cmds[i], m.parPart(i)) })
	})
}

func randomReads(m *measure) error {
	name, want := m.bulkFile()
	r := rand.New(rand.NewPCG(7, uint64(m.sample.Round)))
	f, err := os.Open(m.onMount(name))
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 4<<10)
	return m.time(0, func() error {
		for range 200 {
			at := r.Int64N(int64(len(want)/len(buf))) * int64(len(buf))
			if _, err := f.ReadAt(buf, at); err != nil {
				return err
			}
			if !bytes.Equal(buf, want[at:][:len(buf)]) {
				return fmt.Errorf("wrong bytes at %d", at)
			}
		}
		return nil
	})
}

func writeGiB(m *measure) error {
	f, err := os.Create(filepath.Join(m.scratch, "gib"))
	if err != nil {
		return err
	}
	for range 4 {
		f.Write(m.rig.data.bulk)
	}
	return f.Close()
}

func copyInAndOut(m *measure) error {
	return m.time(8*bulkSize, func() error {
		if _, err := m.exec("cp", filepath.Join(m.scratch, "gib"), m.onMount(m.out, "gib")); err != nil {
			return err
		}
		_, err := m.exec("cp", m.onMount(m.out, "gib"), filepath.Join(m.scratch, "back"))
		return err
	})
}

func checkCopies(m *measure) error {
	for _, name := range []string{m.onServer("gib"), filepath.Join(m.scratch, "back")} {
		if err := sameFile(name, slices.Repeat(m.rig.data.bulk, 4)); err != nil {
			return err
		}
	}
	return nil
}

// readWhileAsking reads a file on a line that is short of bytes, and changes the mode of
// another one now and then, which takes one round trip if nothing is in its way.
func readWhileAsking(m *measure) error {
	name, want := m.bulkFile()
	stop, stopped := make(chan struct{}), make(chan struct{})
	var took []time.Duration
	asked := m.onMount(m.out, "asked")
	if _, err := os.Stat(asked); err != nil {
		return err
	}
	err := m.time(int64(len(want)), func() error {
		go func() {
			defer close(stopped)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
				}
				begin := time.Now()
				if os.Chmod(asked, os.FileMode(0o600+i%2*0o40)) != nil {
					return
				}
				took = append(took, time.Since(begin))
			}
		}()
		return m.readFile(m.onMount(name), want)
	})
	close(stop)
	<-stopped
	if err == nil && len(took) == 0 {
		err = errors.New("no chmod was answered during the read")
	}
	if len(took) > 0 {
		slices.Sort(took)
		m.sample.Extra = took[len(took)/2].Seconds() * 1000
	}
	return err
}
