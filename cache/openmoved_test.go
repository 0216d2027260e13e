package cache

import (
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// The server has done the rename and nobody here knows of it yet when the opening comes by the old path.
func TestAFileIsOpenedWhoseDirectoryIsRenamedMeanwhile(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Options)
		asks   string
	}{
		"default":            {nil, "OPEN"},
		"async":              {async, "OPEN"},
		"default, kept open": {nil, "LSTAT"},
		"async, kept open":   {async, "LSTAT"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tc.change)
			r.put("d/f", "content")
			r.list(r.Root())
			n := r.mustFind("d/f").Node
			if tc.asks == "LSTAT" {
				r.readAll(n)
			}
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == tc.asks {
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			opened := r.opening(n, syscall.O_RDONLY)
			r.waitHeld()
			r.tap.OnRequest(nil)
			r.holdReply("posix-rename@openssh.com")
			renamed := make(chan error, 1)
			go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false) }()
			if !r.tap.WaitHeld(2, longEnough) {
				t.Fatal("the rename was not sent")
			}
			r.tap.Release(0) // the opening
			waitFor(t, "the opening has its answer", func() bool { return len(opened) > 0 || parkedIn("Open", "waitAll") > 0 })
			r.tap.OnReply(nil)
			r.tap.Release()
			if err := <-renamed; err != nil {
				t.Error(err)
			}
			if err := <-opened; err != nil {
				t.Errorf("open: %v", err)
			}
		})
	}
}
