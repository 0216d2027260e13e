package tests

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Reads wait while the server is down, and are answered when it is back.
func TestReadsWaitForAServerThatIsDown(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	content := string(pseudoRandom(1, 6<<20))
	write(t, s.local("f"), content)
	write(t, s.local("other"), "never looked at before")
	m := s.mount()
	f, err := os.Open(m.path("f"))
	must(t, err)
	defer f.Close()
	head := make([]byte, 1000)
	_, err = io.ReadFull(f, head)
	must(t, err)
	s.down()
	open := start(t, "", nil, "cat", m.path("other"))
	rest := make(chan []byte, 1)
	go func() {
		b, err := io.ReadAll(f)
		if err != nil {
			t.Errorf("the waiting read: %v", err)
		}
		rest <- b
	}()
	time.Sleep(2 * time.Second)
	if !open.running() {
		t.Errorf("with the server down, cat ended: %v %s", open.err, open.out.String())
	}
	s.start()
	select {
	case b := <-rest:
		if string(head)+string(b) != content {
			t.Errorf("%d bytes read over the outage, and they are not the file's %d", len(head)+len(b), len(content))
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the read is not answered after the server came back")
	}
	if out := open.wait(t); out != "never looked at before" {
		t.Errorf("cat says %q", out)
	}
}

// Ctrl-C ends a program that waits for a line that is down.
func TestWaitingProgramsCanBeInterrupted(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	write(t, s.local("f"), string(pseudoRandom(1, 1<<20)))
	write(t, s.local("old"), "x")
	m := s.mount("-o", "dir_cache=no,attr_timeout=0,entry_timeout=0")
	wantContent(t, m.path("old"), "x")
	proceed := filepath.Join(testDir(t, "flag"), "proceed")
	closer := startHelper(t, "write-later", m.path("opened before"), proceed)
	eventually(t, 20*time.Second, "the file is open", func() (bool, string) { return exists(s.local("opened before")), "no file" })
	s.down()
	waiting := map[string]*background{
		"read":   start(t, "", nil, "cat", m.path("f")),
		"stat":   start(t, "", nil, "stat", m.path("old")),
		"list":   start(t, "", nil, "ls", "-l", m.point),
		"mkdir":  start(t, "", nil, "mkdir", m.path("d")),
		"create": start(t, "", nil, "sh", "-c", `echo x >"$1"`, "sh", m.path("new")),
		"close":  closer,
	}
	write(t, proceed, "late")
	time.Sleep(time.Second)
	for what, b := range waiting {
		if !b.running() {
			t.Errorf("%s did not wait: %v %s", what, b.err, b.out.String())
		}
		// All are told before one is waited for: in the kernel some wait for the directory that another has locked.
		_ = b.cmd.Process.Signal(syscall.SIGINT)
	}
	for what, b := range waiting {
		select {
		case <-b.done:
		case <-time.After(20 * time.Second):
			t.Errorf("%s is still there 20 s after Ctrl-C", what)
		}
	}
	s.start()
	eventually(t, 40*time.Second, "the mount works again", func() (bool, string) {
		out, err := command(20*time.Second, "", "cat", m.path("old"))
		return err == nil && out == "x", out
	})
}

func TestReconnectTimeoutEndsTheWaiting(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	write(t, s.local("f"), "content")
	m := s.mount("-o", "reconnect_timeout=3,dir_cache=no,attr_timeout=0,entry_timeout=0")
	proceed := filepath.Join(testDir(t, "flag"), "proceed")
	writer := startHelper(t, "write-later", m.path("dirty"), proceed)
	eventually(t, 20*time.Second, "the file is open", func() (bool, string) { return exists(s.local("dirty")), "no file" })
	wantContent(t, m.path("f"), "content")
	s.down()
	write(t, proceed, "late")
	began := time.Now()
	err := within(t, 40*time.Second, "a read with reconnect_timeout=3", func() error {
		_, err := os.ReadFile(m.path("f"))
		return err
	})
	wantErrno(t, "a read after reconnect_timeout", err, syscall.EIO)
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("it gave up after %v already", took)
	}
	if err := writer.end(t, 30*time.Second); err == nil {
		t.Error("close says that the bytes are saved")
	}
	// New requests fail at once from now on.
	err = within(t, 10*time.Second, "a later read", func() error { _, err := os.Stat(m.path("f")); return err })
	wantErrno(t, "a later request", err, syscall.EIO)
	// What was written is kept, and is delivered when the server is back.
	s.start()
	eventually(t, 60*time.Second, "the mount works again", func() (bool, string) {
		b, err := os.ReadFile(m.path("f"))
		return string(b) == "content", fmt.Sprint(err)
	})
	eventually(t, 30*time.Second, "the kept bytes are on the server", func() (bool, string) {
		b, _ := os.ReadFile(s.local("dirty"))
		return string(b) == "late", string(b)
	})
}

// Without reconnect a lost connection is the end, as sshfs has it: errors at once, no hanging.
func TestNoReconnectFailsAtOnce(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	write(t, s.local("f"), "x")
	m := s.mount("-o", "no_reconnect,dir_cache=no,attr_timeout=0,entry_timeout=0")
	wantContent(t, m.path("f"), "x")
	s.sshd.KillSessions()
	eventually(t, 30*time.Second, "requests fail", func() (bool, string) {
		_, err := os.ReadFile(m.path("f"))
		return err != nil, fmt.Sprint(err)
	})
}

// Open files go on after a reconnect: also those whose name has changed, and what is not theirs any more is ESTALE.
func TestOpenFilesAfterAReconnect(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	write(t, s.local("plain"), "plain content")
	write(t, s.local("renamed"), "renamed content")
	write(t, s.local("changed"), "changed content")
	write(t, s.local("gone"), "gone content")
	m := s.mount("-o", "direct_io")
	open := map[string]*os.File{}
	for _, name := range []string{"plain", "renamed", "changed", "gone"} {
		f, err := os.Open(m.path(name))
		must(t, err)
		defer f.Close()
		if _, err := f.ReadAt(make([]byte, 3), 0); err != nil {
			t.Fatal(err)
		}
		open[name] = f
	}
	appender, err := os.OpenFile(m.path("appended"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	must(t, err)
	defer appender.Close()
	_, err = appender.WriteString("one ")
	must(t, err)
	must(t, appender.Sync())
	dir, err := os.Open(m.point)
	must(t, err)
	defer dir.Close()
	must(t, os.Rename(m.path("renamed"), m.path("new-name")))
	s.down()
	write(t, s.local("changed"), "something else, longer")
	must(t, os.Remove(s.local("gone")))
	s.start()

	get := func(name string) (string, error) {
		b := make([]byte, 100)
		n, err := open[name].ReadAt(b, 0)
		if err == io.EOF {
			err = nil
		}
		return string(b[:n]), err
	}
	for _, name := range []string{"plain", "renamed"} {
		if got, err := get(name); err != nil || got != name+" content" {
			t.Errorf("%s reads %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"changed", "gone"} {
		got, err := get(name)
		if err == nil {
			t.Errorf("%s reads %q", name, got)
			continue
		}
		wantErrno(t, "read of the file that is "+name, err, syscall.ESTALE)
	}
	_, err = appender.WriteString("two")
	must(t, err)
	must(t, appender.Close())
	wantContent(t, s.local("appended"), "one two")
	if names, err := dir.Readdirnames(-1); err != nil || len(names) < 4 {
		t.Errorf("the open directory lists %v, %v", names, err)
	}
}

// umount while the line is down and bytes are unsaved: bounded, and the bytes are in the rescue file.
func TestUnmountWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	state := testDir(t, "state")
	m := mountArgs(t, []string{"-F", s.config, s.remote(), mountPoint(t), "-o", "reconnect_timeout=3"}, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
	})
	proceed := filepath.Join(testDir(t, "flag"), "proceed")
	writer := startHelper(t, "write-later", m.path("unsaved"), proceed)
	eventually(t, 20*time.Second, "the file is open", func() (bool, string) { return exists(s.local("unsaved")), "no file" })
	s.down()
	content := pseudoRandom(1, 300_000)
	write(t, proceed, string(content))
	if err := writer.end(t, 60*time.Second); err == nil {
		t.Error("close says that the bytes are saved")
	}
	run(t, "", "fusermount3", "-u", "-z", m.point)
	select {
	case <-m.ended:
	case <-time.After(90 * time.Second):
		t.Fatal("the process is still there 90 s after unmounting")
	}
	saved := rescued(t, state, "unsaved")
	if got := coverage(content, nil, saved); got != len(content) {
		t.Errorf("%d of %d bytes are in rescue files:\n%s\n%s", got, len(content), run(t, "", "find", state, "-type", "f"), m.logText())
	}
}
