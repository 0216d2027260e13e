package tests

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	// scratch holds everything that a run makes: keys, servers' configurations, mount points, logs.
	// Its name in a command line or a mount table says that a process or a mount is this run's.
	scratch string
	// binary is the program under test, by a path that other users can execute too.
	binary string
	// standIn says that binary is not sshmount but sshfs, which lacks what sshmount adds.
	standIn   bool
	raceBuilt bool
)

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		runHelper(name)
	}
	flag.Parse()
	if signal.Ignored(syscall.SIGHUP) { // as under nohup; the programs that are started from here would ignore it as well
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return 1, fmt.Errorf("the whole-program tests need /dev/fuse: %w", err)
	}
	scratch, err = os.MkdirTemp("", "sshmount-tests-")
	if err != nil {
		return 1, err
	}
	// Other users' processes have to reach the mount points.
	if err := os.Chmod(scratch, 0o755); err != nil {
		return 1, err
	}
	if err := buildBinary(); err != nil {
		return 1, err
	}
	// Whoever ends a run by hand should have nothing to clear away afterwards.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; ok {
			removeLeftOver()
			os.Exit(1)
		}
	}()
	code = m.Run()
	signal.Stop(signals)
	close(signals)
	if left := leftOver(15 * time.Second); left != "" {
		code = 1
		fmt.Fprintf(os.Stderr, "tests: left over after the last test:\n%s", left)
		removeLeftOver()
	}
	if err := goleak.Find(); err != nil {
		code = 1
		fmt.Fprintln(os.Stderr, "tests:", err)
	}
	if os.Getenv("SSHMOUNT_TEST_KEEP") == "" && len(mountsUnder(scratch)) == 0 {
		err = os.RemoveAll(scratch)
	} else {
		fmt.Fprintln(os.Stderr, "tests: kept", scratch)
	}
	return code, err
}

// buildBinary makes the program under test.
func buildBinary() error {
	raceBuilt = os.Getenv("SSHMOUNT_TEST_RACE") != ""
	bin := filepath.Join(scratch, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if given := os.Getenv("SSHMOUNT_BIN"); given != "" {
		path, err := exec.LookPath(given)
		if err != nil {
			return err
		}
		binary = path
		version, err := exec.Command(path, "-V").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s -V: %w", path, err)
		}
		standIn = bytes.Contains(version, []byte("SSHFS version"))
		return nil
	}
	binary = filepath.Join(bin, "sshmount")
	args := []string{"build", "-o", binary}
	if raceBuilt {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "sshmount/cmd/sshmount")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// onlySshmount leaves a test out where the program under test is a stand-in.
func onlySshmount(t *testing.T) {
	t.Helper()
	if standIn {
		t.Skip("the binary under test is sshfs, which can't do this")
	}
}

// needRoot leaves a test out that has to act as several users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to act as another user or to mount by mount(8)")
	}
}

// leftOver says what of this run is still there after a time in which it may go.
func leftOver(patience time.Duration) string {
	deadline := time.Now().Add(patience)
	for {
		var b strings.Builder
		for _, m := range mountsUnder(scratch) {
			fmt.Fprintf(&b, "  mount %s\n", m)
		}
		for _, p := range processes(scratch) {
			fmt.Fprintf(&b, "  process %v\n", p)
		}
		if b.Len() == 0 || time.Now().After(deadline) {
			return b.String()
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func removeLeftOver() {
	for _, p := range processes(scratch) {
		if proc, err := os.FindProcess(p.pid); err == nil {
			_ = proc.Kill()
		}
	}
	mounts := mountsUnder(scratch)
	for i := len(mounts) - 1; i >= 0; i-- {
		detach(mounts[i])
	}
}

// shared makes f, whose value all tests share, run once; its error fails each test that asks.
func shared[T any](f func() (T, error)) func(t *testing.T) T {
	once := sync.OnceValues(f)
	return func(t *testing.T) T {
		t.Helper()
		v, err := once()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
