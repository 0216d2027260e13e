package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What is no refused login must not look like one to a script, which would ask for another password.
func TestAnSSHCommandThatCannotBeRunIsAFaultOfTheCommandLine(t *testing.T) {
	w := newWorld(t)
	for _, program := range []string{"no-such-ssh", filepath.Join(w.dir, "bin", "ssh")} {
		w.want(exitUsage, []string{"ssh_command", program + " cannot be run"}, "-o", "ssh_command="+program, "try:", w.mnt)
	}
}

func TestAPathWithoutAnSFTPServerIsNoRefusedLogin(t *testing.T) {
	w := newWorld(t)
	for _, shell := range []string{
		"echo bash: line 1: /nowhere/sftp: No such file or directory >&2; exit 127",
		"echo bash: line 1: /nowhere/sftp: Permission denied >&2; exit 126",
	} {
		program := filepath.Join(w.dir, "ssh")
		w.write(program, "#!/bin/sh\n"+shell+"\n")
		if err := os.Chmod(program, 0o755); err != nil {
			t.Fatal(err)
		}
		w.want(exitConnect, []string{"/nowhere/sftp"}, "-o", "ssh_command="+program+",sftp_server=/nowhere/sftp", "try:", w.mnt)
	}
}
