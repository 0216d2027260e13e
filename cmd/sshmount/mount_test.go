package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

func TestFromTheMountToItsEnd(t *testing.T) {
	w := newWorld(t)
	w.write(filepath.Join(w.data, "there"), "from the server")
	r := w.mount()
	w.holds(filepath.Join(w.mnt, "there"), "from the server")
	w.write(filepath.Join(w.mnt, "here"), "from the mount")
	w.holds(filepath.Join(w.data, "here"), "from the mount")

	w.want(exitOK, []string{w.mnt, "from try:", "connected since", "everything is saved"}, "status", w.mnt)
	var one control.Status
	if err := json.Unmarshal([]byte(w.want(exitOK, nil, "status", "--json", w.mnt)), &one); err != nil || !one.Connected || one.Login.Method != "publickey" {
		t.Errorf("status in JSON: %+v, %v", one, err)
	}
	var all []control.Status
	if err := json.Unmarshal([]byte(w.want(exitOK, nil, "status", "--json")), &all); err != nil || !slices.ContainsFunc(all, func(s control.Status) bool { return s.Mountpoint == w.mnt }) {
		t.Errorf("status of all in JSON: %+v, %v", all, err)
	}
	w.want(exitOK, nil, "sync", w.mnt)
	w.want(exitOK, nil, "kick", w.mnt)
	w.want(exitMountPoint, []string{"already mounted from try:"}, "-F", w.client.Config, "try:", w.mnt)

	held, err := os.Open(filepath.Join(w.mnt, "there"))
	if err != nil {
		t.Fatal(err)
	}
	w.want(exitBusy, []string{"in use by", fmt.Sprintf("(%d)", os.Getpid()), "--lazy"}, "umount", w.mnt)
	w.want(exitOK, nil, "umount", "--lazy", w.mnt)
	if _, _, mounted := mountpoint.Mounted(w.mnt); mounted {
		t.Error("the mount is still there after a lazy end")
	}
	if b := make([]byte, 20); !readsAt(held, b) {
		t.Error("a file that was open when the mount was detached can't be read")
	}
	held.Close()
	w.ended(r)
	if out := w.want(exitOK, nil, "status"); strings.Contains(out, w.mnt) {
		t.Errorf("status still tells of the mount:\n%s", out)
	}
	w.want(exitNotMounted, []string{w.mnt}, "umount", w.mnt)
	w.want(exitNotMounted, []string{w.mnt}, "sync", w.mnt)
	for _, command := range []string{"status", "sync", "umount", "kick"} {
		missing := filepath.Join(w.dir, "no", "such")
		if out := w.want(exitNotMounted, []string{missing + " is no mount"}, command, missing); strings.Contains(out, "mkdir") {
			t.Errorf("%s advises to make what it does not find:\n%s", command, out)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(w.runtime(), "sshmount")); len(left) != 0 {
		t.Errorf("left in the runtime directory: %v", left)
	}
}

func readsAt(f *os.File, b []byte) bool {
	n, _ := f.ReadAt(b, 0)
	return n > 0
}

func TestEndsByFusermountAndBySignals(t *testing.T) {
	ends := map[string]func(*world, control.Record) error{
		"fusermount3": func(w *world, _ control.Record) error { return exec.Command("fusermount3", "-u", w.mnt).Run() },
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		ends[s.String()] = func(_ *world, r control.Record) error { return syscall.Kill(r.PID, s) }
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.mount()
			if err := end(w, r); err != nil {
				t.Fatal(err)
			}
			w.ended(r)
			if !strings.Contains(w.log(), "all is saved") {
				t.Errorf("the log does not say that all is saved:\n%s", w.log())
			}
		})
	}
}

// inUse is a mount of which a file is held open until the test ends.
func inUse(t *testing.T) (*world, control.Record) {
	t.Helper()
	w := newWorld(t)
	w.write(filepath.Join(w.data, "f"), "x")
	r := w.mount()
	held, err := os.Open(filepath.Join(w.mnt, "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
	return w, r
}

func TestAMountThatLiesInAMountIsNamedWhereItKeepsThatInUse(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.data, "inner"), 0o700); err != nil {
		t.Fatal(err)
	}
	outer := w.mount()
	at := filepath.Join(w.mnt, "inner")
	w.want(exitOK, nil, "-F", w.client.Config, "-o", "nonempty", "try:", at)
	w.want(exitBusy, []string{"in use by the mount at " + at}, "umount", w.mnt)
	w.want(exitOK, nil, "umount", at)
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(outer)
}

func TestASignalEndsAMountThatIsInUse(t *testing.T) {
	w, r := inUse(t)
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.ended(r)
}

func TestForegroundEndsWithZero(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := w.command(ctx, "sshfs", "-f", "-F", w.client.Config, "try:", w.mnt)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mount is there, and answers", func() bool { // one that is taken away before that could not be made
		kind, _, _ := mountpoint.Mounted(w.mnt)
		_, err := os.Stat(w.mnt)
		return kind == "fuse.sshfs" && err == nil
	})
	eventually(t, "unmounted", func() bool { return exec.Command("fusermount3", "-u", w.mnt).Run() == nil })
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestWhatCantBeMountedIsSaidInOneLine(t *testing.T) {
	w := newWorld(t)
	w.write(filepath.Join(w.data, "file"), "x")
	wrong := filepath.Join(w.dir, "wrong")
	w.write(wrong, "NoSuchKeyword yes\n")
	base := []string{"-F", w.client.Config}
	tests := []struct {
		status int
		words  []string
		args   []string
	}{
		{exitRemoteDir, []string{"missing", "does not exist"}, []string{"try:missing", w.mnt}},
		{exitRemoteDir, []string{"does not exist", "-p 2222"}, []string{"try:2222/missing", w.mnt}},
		{exitRemoteDir, []string{"file", "not a directory"}, []string{"try:file", w.mnt}},
		{exitConnect, []string{"refused"}, []string{"try:", w.mnt, "-p", "1"}},
		{exitConnect, []string{"none-such", "sftp_server="}, []string{"try:", w.mnt, "-o", "sftp_server=none-such"}},
		{exitLogin, []string{"login", "refused"}, []string{"try:", w.mnt, "-o", "PubkeyAuthentication=no"}},
		{exitMountPoint, []string{"not empty"}, []string{"try:", w.data}},
		{exitUsage, []string{"password_stdin", "no line"}, []string{"try:", w.mnt, "-o", "password_stdin"}},
		{exitUsage, []string{"idmap"}, []string{"try:", w.mnt, "-o", "idmp=user"}},
		{exitUsage, []string{"below the mount point"}, []string{"try:", w.mnt, "-o", "log_file=" + filepath.Join(w.mnt, "log")}},
		{exitUsage, []string{"colon"}, []string{"try", w.mnt}},
		{exitUsage, []string{"invalid time value"}, []string{"try:", w.mnt, "-o", "ServerAliveInterval=-5"}},
		{exitUsage, []string{"a;b", "no host"}, []string{"a;b:", w.mnt}},
		{exitFailure, []string{"nosuchkeyword"}, []string{"try:", w.mnt, "-F", wrong}},
	}
	for _, command := range []string{"umount", "sync", "kick"} {
		w.want(exitUsage, []string{"mount point is missing", command}, command)
		w.want(exitUsage, []string{"/b", "too many"}, command, "/a", "/b")
	}
	for _, test := range tests {
		out := w.want(test.status, test.words, append(base, test.args...)...)
		if strings.Count(strings.TrimSpace(out), "\n") != 0 || !strings.HasPrefix(out, "sshmount: ") {
			t.Errorf("%q: want one line:\n%s", test.args, out)
		}
	}
	if _, _, mounted := mountpoint.Mounted(w.mnt); mounted {
		t.Error("something is mounted")
	}
}

// Scripts tell a login that is refused from a server that has no SFTP.
func TestAServerWithoutSFTPIsNoRefusedLogin(t *testing.T) {
	w := newWorld(t)
	for said, script := range map[string]string{
		"Welcome to":       "echo Welcome to this host; cat >/dev/null",
		"version 2":        `printf '\0\0\0\005\002\0\0\0\002'; cat >/dev/null`,
		"no such SFTP":     "", // of the server below
		"subsystem":        "echo subsystem request failed on channel 0 >&2; exit 255",
		"sftp-server: not": "echo sh: 1: /usr/lib/sftp-server: not found >&2; exit 127",
	} {
		args := []string{"-F", w.client.Config, "-o", "sftp_server=nothing", "try:", w.mnt}
		if script != "" {
			program := filepath.Join(w.dir, "ssh")
			w.write(program, "#!/bin/sh\n"+script+"\n")
			if err := os.Chmod(program, 0o755); err != nil {
				t.Fatal(err)
			}
			args = []string{"-o", "ssh_command=" + program, "try:", w.mnt}
		}
		w.want(exitConnect, []string{said}, args...)
	}
}

// A server that lets in and then is mute must not hold the user for longer than ConnectTimeout.
func TestAMuteSFTPServerIsSaidWithinTheTimeout(t *testing.T) {
	w := newWorld(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close() // connections wait in its queue: nobody accepts them
	w.want(exitConnect, []string{"SFTP", "within 1s", "ConnectTimeout"}, "-o", fmt.Sprintf("directport=%d,ConnectTimeout=1", mute.Addr().(*net.TCPAddr).Port), "127.0.0.1:", w.mnt)
}

func TestHelpersOfMountHaveItsExitStatuses(t *testing.T) {
	w := newWorld(t)
	for status, args := range map[int][]string{
		helperFailure: {"host:", filepath.Join(w.dir, "missing"), "-o", "rw"},
		helperUsage:   {"host:", w.mnt, "-o", "rw,nonsense_option"},
		exitOK:        {"try:", w.mnt, "-f", "-o", "rw,ssh_command=false"}, // mount -f
	} {
		err := w.command(t.Context(), "mount.fuse.sshmount", args...).Run()
		exit, ok := err.(*exec.ExitError)
		if right := err == nil && status == exitOK || ok && exit.ExitCode() == status; !right {
			t.Errorf("%q ends with %v, want %d", args, err, status)
		}
	}
}

func TestAMountThatWasMadeDuringTheLoginIsNotCovered(t *testing.T) {
	w := newWorld(t)
	asked, gate := filepath.Join(w.dir, "asked"), filepath.Join(w.dir, "gate")
	proxy := fmt.Sprintf("ProxyCommand=bash -c 'touch %s; until [ -e %s ]; do sleep 0.05; done; exec 3<>/dev/tcp/127.0.0.1/%d; cat <&3 & cat >&3'",
		asked, gate, w.server.Addr().Port)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	late, said := w.command(ctx, "sshmount", "-F", w.client.Config, "-o", proxy, "try:", w.mnt), new(strings.Builder)
	late.Stderr = said
	if err := late.Start(); err != nil {
		t.Fatal(err)
	}
	exists := func(name string) bool { _, err := os.Stat(name); return err == nil }
	eventually(t, "the login has begun", func() bool { return exists(asked) })
	r := w.mount()
	w.write(gate, "")
	late.Wait()
	if code := late.ProcessState.ExitCode(); code != exitMountPoint || !strings.Contains(said.String(), "meanwhile") {
		t.Errorf("the late one ends with %d, want %d, and says:\n%s", code, exitMountPoint, said)
	}
	w.want(exitOK, []string{"connected since"}, "status", w.mnt)
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestAKilledMountIsClearedUp(t *testing.T) {
	w := newWorld(t)
	r := w.mount()
	kill := func() {
		t.Helper()
		if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the process is gone", func() bool { return !r.Alive() })
	}
	kill()
	w.want(exitOK, []string{"DEAD", "sshmount umount"}, "status", w.mnt)
	for _, command := range []string{"sync", "kick"} {
		w.want(exitNotMounted, []string{"is gone", "sshmount umount " + w.mnt}, command, w.mnt)
	}
	// By the next mount …
	w.want(exitOK, []string{"took away a dead mount of try:"}, "-F", w.client.Config, "try:", w.mnt)
	r = w.record()
	kill()
	// … or by umount.
	w.want(exitOK, []string{"dead mount is taken away"}, "umount", w.mnt)
	if _, _, mounted := mountpoint.Mounted(w.mnt); mounted {
		t.Error("a dead mount is left")
	}
	if out := w.want(exitOK, nil, "status"); strings.Contains(out, w.mnt) {
		t.Errorf("status still tells of the mount:\n%s", out)
	}
}
