package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// crashVariable names the log of a copy of this program that cuts it twice and crashes.
const crashVariable = "SSHMOUNT_TEST_CRASH"

// The log that was there at first has no name any more by then.
func TestACrashIsInALogThatWasCut(t *testing.T) {
	if name := os.Getenv(crashVariable); name != "" {
		l, err := openLog(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.takeCrashes(); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			l.Write(bytes.Repeat([]byte("-"), maxLog/2+1))
		}
		go panic("it crashes on purpose")
		select {}
	}
	name := filepath.Join(t.TempDir(), "log")
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), crashVariable+"="+name)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("it does not crash:\n%s", out)
	}
	log, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte("it crashes on purpose")) {
		t.Errorf("the log, of %d bytes, says nothing of the crash", len(log))
	}
}
