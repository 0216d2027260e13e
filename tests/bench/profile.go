package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// profileTime is how long each kind of bulk work is repeated under the profiler.
const profileTime = 4 * time.Second

// profiledNames is how many names the content that is read under the profiler has: what was
// read of one is in the page cache. They are there before the mount, since a name that the
// server gets behind its back may be unknown to it for a while.
const profiledNames = 64

func profiledName(i int) string { return fmt.Sprint("again", i) }

// profile has sshmount read and write as fast as it can, and asks its control socket where
// the time and the memory went. What goes wrong is told in the text: it is no reason to
// lose the figures.
func (r *rig) profile(ctx context.Context, p *profile, pe *peer, out string) string {
	var b strings.Builder
	for _, w := range []struct {
		name string
		do   func(m *measure) (bytes int64, err error)
	}{
		{"reading", func(m *measure) (int64, error) {
			name := profiledName(int(m.progress.Load() / bulkSize % profiledNames))
			return bulkSize, m.readFile(m.onMount(m.out, name), r.data.bulk)
		}},
		{"writing", func(m *measure) (int64, error) { return bulkSize, m.writeFile("written", r.data.bulk, 1<<20) }},
	} {
		text, err := r.profileOne(ctx, p, pe, out, w.name, w.do)
		if err != nil {
			text = "could not be profiled: " + err.Error()
		}
		fmt.Fprintf(&b, "### %s, %s\n\n%s\n\n", strings.ToUpper(w.name[:1])+w.name[1:], p.describe(), text)
	}
	return b.String()
}

func (r *rig) profileOne(ctx context.Context, p *profile, pe *peer, out, name string, do func(*measure) (int64, error)) (string, error) {
	r.count++
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	m := &measure{ctx: limited, rig: r, profile: p, peer: pe, scratch: filepath.Join(r.dir, fmt.Sprintf("measure%d", r.count))}
	m.mnt, m.out = filepath.Join(m.scratch, "mnt"), fmt.Sprintf("out%d", r.count)
	for _, dir := range []string{m.mnt, m.onServer()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	defer os.RemoveAll(m.scratch)
	defer os.RemoveAll(m.onServer())
	for i := range profiledNames {
		if err := os.Link(filepath.Join(r.data.server, "bulk"), m.onServer(profiledName(i))); err != nil {
			return "", err
		}
	}
	unmount, kill, err := m.mountForeground()
	if err != nil {
		return "", err
	}
	defer kill()
	found, err := m.underProfiler(do)
	if err != nil {
		return "", err
	}
	if err := unmount(); err != nil {
		return "", err
	}
	gib := float64(found.bytes) / (1 << 30)
	text := fmt.Sprintf("%.2f GiB; for each GiB %.1f MiB were allocated in %.0f pieces.\n", gib,
		(memStat(found.after, "TotalAlloc")-memStat(found.before, "TotalAlloc"))/mib/gib, (memStat(found.after, "Mallocs")-memStat(found.before, "Mallocs"))/gib)
	for _, f := range []struct {
		kind string
		data []byte
		args []string
	}{{"cpu", found.cpu, nil}, {"allocs", found.allocs, []string{"-sample_index=alloc_space"}}} {
		top, err := m.keepProfile(filepath.Join(out, "sshmount-"+name+"-"+f.kind+".pprof"), f.data, f.args...)
		if err != nil {
			return "", err
		}
		text += top
	}
	return text, nil
}

// findings are what the control socket told, and how much was moved meanwhile.
type findings struct {
	bytes         int64
	cpu, allocs   []byte
	before, after []byte // of the allocations, as text
}

// underProfiler repeats a work for profileTime.
func (m *measure) underProfiler(do func(*measure) (int64, error)) (found findings, err error) {
	get, err := m.profiler()
	if err != nil {
		return found, err
	}
	if found.before, err = get("allocs?debug=1"); err != nil {
		return found, err
	}
	type outcome struct {
		profile []byte
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		data, err := get(fmt.Sprintf("profile?seconds=%d", int(profileTime.Seconds())))
		done <- outcome{data, err}
	}()
	for begin := time.Now(); time.Since(begin) < profileTime; {
		n, err := do(m)
		if err != nil {
			<-done
			return found, err
		}
		found.bytes += n
	}
	got := <-done
	if found.cpu = got.profile; got.err != nil {
		return found, got.err
	}
	if found.after, err = get("allocs?debug=1"); err != nil {
		return found, err
	}
	found.allocs, err = get("allocs")
	return found, err
}

// profiler finds the control socket of the mount, and gives what gets a profile from it.
func (m *measure) profiler() (get func(path string) ([]byte, error), err error) {
	var sockets []string
	err = within(m, 10*time.Second, func() bool {
		sockets, _ = filepath.Glob(filepath.Join(m.scratch, "sshmount", "*.sock"))
		return len(sockets) == 1
	})
	if err != nil {
		return nil, fmt.Errorf("%d control sockets below %s", len(sockets), m.scratch)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", sockets[0])
	}}}
	return func(path string) ([]byte, error) {
		req, err := http.NewRequestWithContext(m.ctx, http.MethodGet, "http://mount/debug/pprof/"+path, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", path, resp.Status)
		}
		return body, err
	}, nil
}

// keepProfile writes a profile to a file, and gives the functions at its top as text.
func (m *measure) keepProfile(file string, data []byte, args ...string) (string, error) {
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return "", err
	}
	args = append([]string{"tool", "pprof", "-top", "-nodecount=12"}, args...)
	top, err := output(exec.CommandContext(m.ctx, "go", append(args, m.peer.program, file)...))
	if err != nil {
		top = []byte(err.Error())
	}
	return fmt.Sprintf("\n`%s`:\n\n```\n%s\n```\n", filepath.Base(file), strings.TrimSpace(string(top))), nil
}

// memStat finds a figure of runtime.MemStats at the end of a profile in text form.
func memStat(profile []byte, name string) float64 {
	found := regexp.MustCompile(`(?m)^# ` + name + ` = (\d+)$`).FindSubmatch(profile)
	if found == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(string(found[1]), 64)
	return v
}
