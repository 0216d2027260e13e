package cache

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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
