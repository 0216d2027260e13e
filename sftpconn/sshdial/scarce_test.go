package sshdial

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// Else a mount that is short of descriptors when its line is lost would wait as long as after a refusal, and blame the configuration.
func TestAProgramThatCanNotBeStartedForNowIsNoFaultOfTheConfiguration(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	scarce := before
	scarce.Cur = 3 // those that are always open
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &scarce, nil); err != nil {
		t.Fatal(err)
	}
	_, err := startProxyCommand("true", true)
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EMFILE) || isPermanent(err) {
		t.Errorf("without descriptors: %v", err)
	}
	t.Setenv("SHELL", "/nonexistent/shell")
	if _, err := startProxyCommand("true", true); !isPermanent(err) {
		t.Errorf("with a shell that is not there: %v", err)
	}
}
