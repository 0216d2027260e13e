package fusefs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func TestPanicInARequestIsAnErrorAndLogged(t *testing.T) {
	var log bytes.Buffer
	o := serverOptions(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	st := func() (st fuse.Status) {
		defer func() { st = o.PanicHandler(recover()) }()
		panic("a fault")
	}()
	if st != fuse.EIO || !strings.Contains(log.String(), "a fault") || !strings.Contains(log.String(), "panic_test.go") {
		t.Errorf("status %v, log %s", st, log.String())
	}
}
