package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"sshmount/tests/proc"
)

func treeWorks() []*work {
	return slices.Concat(readingWorks(), changingWorks(), gitWorks(), otherWorks())
}

func readingWorks() []*work {
	return []*work{
		{
			name: "ls -l of 5,000 names", short: true,
			run: mounts(func(m *measure) error {
				var out []byte
				err := m.time(0, func() (err error) {
					out, err = m.exec("ls", "-l", m.onMount("many"))
					return err
				})
				return errors.Join(err, checkListing(out))
			}),
		},
		{
			name: "find over 441 entries", short: true,
			run: mounts(findTree),
		},
		{
			name: "tar of 441 entries", short: true,
			run: mounts(func(m *measure) error {
				file := filepath.Join(m.scratch, "tree.tar")
				err := m.time(0, func() error {
					_, err := m.exec("tar", "-cf", file, "-C", m.mnt, "tree")
					return err
				})
				if err != nil {
					return err
				}
				return checkTar(file, m.rig.data.big)
			}),
		},
		{
			name: "grep -r over 441 entries", short: true,
			run: mounts(func(m *measure) error {
				var out []byte
				err := m.time(0, func() (err error) {
					out, err = m.exec("grep", "-rh", needle, m.onMount("tree"))
					return err
				})
				if n := bytes.Count(out, []byte("\n")); err == nil && n != m.rig.data.needle {
					err = fmt.Errorf("grep found %d lines of %d", n, m.rig.data.needle)
				}
				return err
			}),
		},
	}
}

func findTree(m *measure) error {
	var out []byte
	err := m.time(0, func() (err error) {
		out, err = m.exec("find", m.onMount("tree"))
		return err
	})
	if err != nil {
		return err
	}
	got := strings.Fields(string(out))
	var want []string
	for _, name := range m.rig.data.big.paths() {
		want = append(want, m.onMount("tree", name))
	}
	sort.Strings(got)
	sort.Strings(want)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		return fmt.Errorf("find gave %d names that are not the %d there are", len(got), len(want))
	}
	return nil
}

func changingWorks() []*work {
	return []*work{
		{
			name: "untar of 139 entries", changes: true, short: true,
			run: mounts(func(m *measure) error {
				return m.time(0, func() error {
					_, err := m.exec("tar", "-xf", filepath.Join(m.rig.data.local, "untar.tar"), "-C", m.onMount(m.out))
					return err
				})
			}),
			check: func(m *measure) error { return m.rig.data.untar.compare(m.onServer("untar")) },
		},
		{
			name: "cp -r of 88 files", changes: true, short: true,
			run: mounts(func(m *measure) error {
				return m.time(0, func() error {
					_, err := m.exec("cp", "-r", filepath.Join(m.rig.data.local, "small"), m.onMount(m.out))
					return err
				})
			}),
			check: func(m *measure) error { return m.rig.data.small.compare(m.onServer("small")) },
		},
		{
			name: "cp of 64 MiB within the mount", changes: true, short: true, on: fast,
			run: mounts(func(m *measure) error {
				return m.time(0, func() error {
					_, err := m.exec("cp", m.onMount("par1"), m.onMount(m.out, "copy"))
					return err
				})
			}),
			check: func(m *measure) error { return sameFile(m.onServer("copy"), m.parPart(1)) },
		},
		{
			name: "rm -rf of 139 entries", changes: true, short: true,
			prepare: func(m *measure) error { return m.rig.data.untar.write(m.onServer("untar")) },
			run: mounts(func(m *measure) error {
				return m.time(0, func() error {
					_, err := m.exec("rm", "-rf", m.onMount(m.out, "untar"))
					return err
				})
			}),
			check: func(m *measure) error { return gone(m.onServer("untar")) },
		},
		{
			name: "ten saves of an editor", changes: true, short: true,
			prepare: func(m *measure) error { return os.WriteFile(m.onServer("text"), savedText(m, 0), 0o644) },
			run: mounts(func(m *measure) error {
				return m.time(0, func() error {
					for i := range 10 {
						if err := save(m.onMount(m.out, "text"), savedText(m, i+1)); err != nil {
							return err
						}
					}
					return nil
				})
			}),
			check: func(m *measure) error { return sameFile(m.onServer("text"), savedText(m, 10)) },
		},
	}
}

func gitWorks() []*work {
	return []*work{
		{
			name: "git status of 400 files", short: true,
			run: mounts(func(m *measure) error {
				return m.time(0, func() error {
					out, err := m.exec("git", "-C", m.onMount("repo"), "status", "--porcelain")
					if err == nil && len(out) > 0 {
						err = fmt.Errorf("git thinks that something changed: %s", lastLine(string(out)))
					}
					return err
				})
			}),
		},
		{
			name: "git clone of 400 files", changes: true,
			run: mounts(func(m *measure) error {
				return m.time(0, func() error {
					_, err := m.exec("git", "clone", "-q", "--no-hardlinks", filepath.Join(m.rig.data.local, "source"), m.onMount(m.out, "clone"))
					return err
				})
			}),
			check: func(m *measure) error {
				clone := m.onServer("clone")
				if err := m.rig.data.source.compare(clone, ".git"); err != nil {
					return err
				}
				_, err := m.exec("git", "-C", clone, "fsck", "--no-progress")
				return err
			},
		},
	}
}

func otherWorks() []*work {
	return []*work{
		{
			name: "10,000 stats of 100 files", short: true,
			run: mounts(statMany),
		},
		{
			name: "mount to first ls", unmounted: true, short: true,
			run: map[string]func(*measure) error{
				"mount": mountAndList,
				nameSSH: func(m *measure) error {
					cmd := m.ssh("ls " + quote(m.rig.data.server))
					defer m.account(cmd)
					return m.time(0, func() error { _, err := output(cmd); return err })
				},
				nameSFTP: func(m *measure) error {
					cmd := m.sftp("ls " + m.rig.data.server)
					defer m.account(cmd)
					return m.time(0, func() error { _, err := output(cmd); return err })
				},
			},
		},
	}
}

// statMany looks at names that are known, again and again.
func statMany(m *measure) error {
	stat := func() error {
		for i := range 100 {
			st, err := os.Lstat(m.onMount("many", listName(i)))
			if err != nil {
				return err
			}
			if st.Size() != int64(i%500) {
				return fmt.Errorf("%s has size %d", st.Name(), st.Size())
			}
		}
		return nil
	}
	if err := stat(); err != nil {
		return err
	}
	return m.time(0, func() error {
		for range 100 {
			if err := stat(); err != nil {
				return err
			}
		}
		return nil
	})
}

func mountAndList(m *measure) error {
	args := m.peer.mount(m, true)
	defer func() {
		for begin := time.Now(); proc.Mounted(m.mnt); time.Sleep(20 * time.Millisecond) {
			lazy := "-u"
			if time.Since(begin) > 5*time.Second {
				lazy = "-uz"
			}
			if _, err := output(exec.Command("fusermount3", lazy, m.mnt)); err == nil {
				break
			}
		}
	}()
	return m.time(0, func() error {
		// A file, since a daemon may keep what would be a pipe open.
		log, err := os.Create(filepath.Join(m.scratch, "log"))
		if err != nil {
			return err
		}
		defer log.Close()
		cmd := m.command(args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Run(); err != nil {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s: %w: %s", m.peer.name, err, lastLine(string(text)))
		}
		out, err := m.exec("ls", m.mnt)
		if err == nil && !strings.Contains(string(out), "bulk") {
			err = errors.New("ls does not show the server's files")
		}
		return err
	})
}

func savedText(m *measure, i int) []byte { return m.rig.data.bulk[i*1000:][:20000] }

// save does what editors do that never leave a half-written file: look, write a new one,
// make sure of it, rename it over the old one, look again.
func save(path string, content []byte) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(st.Mode()), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	_, err = os.Stat(path)
	return err
}
