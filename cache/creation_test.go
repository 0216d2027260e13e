package cache

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/sftptest"
)

// The answer to the creation is lost, so that the file is opened as one that is there; the server's umask has taken bits from it.
func TestAFileMadeAsTheLineBrokeHasTheBitsThatTheProgramAsked(t *testing.T) {
	for what, option := range map[string]func(*Options){"waited for": nil, "async": async} {
		for exclusive, flags := range map[string]uint32{"": 0, ", exclusive": syscall.O_EXCL} {
			t.Run(what+exclusive, func(t *testing.T) {
				r := newRig(t, option)
				r.list(r.Root())
				r.create(r.Root(), "before", "") // tells the server's clock
				if err := r.Sync(ctxOf(t)); err != nil {
					t.Fatal(err)
				}
				var cut atomic.Bool
				r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
					if p.Request != nil && p.Request.Name == "OPEN" && !cut.Swap(true) {
						go r.srv.Cut()
						return sftptest.Drop()
					}
					return sftptest.Pass()
				})
				_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|flags, 0o666)
				if err != nil {
					t.Fatal(err)
				}
				if err := h.Fsync(ctxOf(t)); err != nil {
					t.Error(err)
				}
				h.Release()
				var info os.FileInfo
				for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
					if info, err = os.Stat(filepath.Join(r.dir, "f")); err == nil && info.Mode().Perm() == 0o666 {
						return
					}
				}
				t.Errorf("it was asked for with 0666, and has %v; %v", info.Mode(), err)
			})
		}
	}
}

// The log tells of a file whose maker can't be told, and only of such a one: where it is known, no program notices anything.
func TestALostAnswerToACreationIsLoggedWhereItMatters(t *testing.T) {
	for what, row := range map[string]struct {
		option func(*Options)
		known  bool // the server's clock: by it a file just made is told from others
		fails  bool
	}{
		"waited for, made here":    {known: true},
		"waited for, can't tell":   {fails: true},
		"async, made here":         {option: async, known: true},
		"async, promised to be so": {option: async},
	} {
		t.Run(what, func(t *testing.T) {
			var log safeLog
			logger := slog.New(slog.NewTextHandler(&log, nil))
			r := newRigOver(t, sftpconn.Options{Logger: logger}, func(o *Options) {
				o.Logger = logger
				if row.option != nil {
					row.option(o)
				}
			})
			r.list(r.Root())
			if row.known {
				r.create(r.Root(), "before", "")
				if err := r.Sync(ctxOf(t)); err != nil {
					t.Fatal(err)
				}
			}
			var cut atomic.Bool
			r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && p.Request.Name == "OPEN" && !cut.Swap(true) {
					go r.srv.Cut()
					return sftptest.Drop()
				}
				return sftptest.Pass()
			})
			_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
			if err == nil {
				if err := h.Fsync(ctxOf(t)); err != nil {
					t.Error(err)
				}
				h.Release()
			}
			if failed := err != nil; failed != row.fails {
				t.Errorf("create: %v", err)
			}
			if told := strings.Contains(log.String(), "cannot be told"); told != row.fails {
				t.Errorf("the log says:\n%s", log.String())
			}
		})
	}
}

// safeLog is a log that several goroutines write.
type safeLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
