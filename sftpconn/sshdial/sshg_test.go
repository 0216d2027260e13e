package sshdial

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// hanging is a server in whose configuration a Match runs a program: it puts its process on record and hangs where the file hang exists.
func hanging(t *testing.T, log *strings.Builder) (d *Dialer, hang string, program func() int) {
	t.Helper()
	o := passwordServer(t, &ssh.ServerConfig{PasswordCallback: checkPassword("right"), MaxAuthTries: 20})
	dir := t.TempDir()
	hang = filepath.Join(dir, "hang")
	pid := filepath.Join(dir, "pid")
	script := write(t, filepath.Join(dir, "match"), "test -e "+hang+" || exit 1\necho $$ >"+pid+".new\nmv "+pid+".new "+pid+"\nsleep 300\n")
	o.ConfigFile = config(t, `Match originalhost srv exec "sh `+script+`"`, "Port 1", "Host srv", "HostName 127.0.0.1", "Port "+o.Port)
	o.Host, o.Port, o.Password, o.Logger = "srv", "", []byte("right"), logTo(log)
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return d, hang, func() int {
		text, _ := os.ReadFile(pid)
		n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return n
	}
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not so that " + what)
		}
	}
}

func isGone(t *testing.T, pid int) {
	t.Helper()
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	eventually(t, "the program of the Match is gone", func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestAConfigurationThatHangsHoldsNoReconnectUp(t *testing.T) {
	var log strings.Builder
	d, hang, program := hanging(t, &log)
	closeTransport(t, dialWith(t, d))
	write(t, hang, "")
	begun := time.Now()
	closeTransport(t, dialWith(t, d))
	if took := time.Since(begun); took > 4*readAgainLimit { // less than the ConnectTimeout
		t.Errorf("it takes %v", took)
	}
	says(t, log.String(), "cannot be read again", "takes too long")
	if program() == 0 {
		t.Fatal("the configuration was not read again")
	}
	isGone(t, program())
}

func TestAnEndDoesNotWaitForAConfigurationThatHangs(t *testing.T) {
	var log strings.Builder
	d, hang, program := hanging(t, &log)
	closeTransport(t, dialWith(t, d))
	write(t, hang, "")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := d.Dial(ctx)
		done <- err
	}()
	eventually(t, "the configuration is being read", func() bool { return program() != 0 })
	cancel()
	if err := <-done; err == nil {
		t.Error("logged in")
	}
	isGone(t, program())
	if strings.Contains(log.String(), "cannot be read again") {
		t.Errorf("it waited:\n%s", log.String())
	}
}
