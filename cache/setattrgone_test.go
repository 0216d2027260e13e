package cache

import (
	"errors"
	"syscall"
	"testing"
)

// chmod(2) has found the file, and waits. ESTALE has the kernel look the name up again, which leads to the file that is there now, as it
// does for open(2): a program that names no file that was ever absent must not be told that it is.
func TestAChangeOfAttributesOfAFileThatIsReplacedMeanwhileIsTriedAtTheNewOne(t *testing.T) {
	size := uint64(1)
	mode := uint32(0o600)
	for what, wish := range map[string]SetAttr{"its mode": {Mode: &mode}, "its size": {Size: &size}} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "old")
			r.put("new", "new content")
			r.list(r.Root())
			n := r.mustFind("f").Node
			r.mustFind("new")
			r.holdReply("posix-rename@openssh.com")
			renamed, set := make(chan error, 1), make(chan error, 1)
			go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "new", r.Root(), "f", false) }()
			r.waitHeld()
			go func() {
				_, _, err := r.Setattr(ctxOf(t), n, nil, wish)
				set <- err
			}()
			waitFor(t, "it waits", func() bool { return parkedIn("Setattr", "waitAll") > 0 })
			r.tap.OnReply(nil)
			r.tap.Release()
			if err := <-renamed; err != nil {
				t.Error(err)
			}
			wantErrno(t, <-set, syscall.ESTALE)
		})
	}
}

// It is not answered beforehand: an fsync and the end of the mount would tell of a change that nobody can do any more.
func TestAsyncAChangeOfAttributesIsNotAnsweredForAFileThatIsGoneByThen(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "old")
	r.list(r.Root())
	n := r.mustFind("f").Node
	r.holdRequest("SETSTAT")
	size, mode := uint64(1), uint32(0o600)
	cut := make(chan error, 1)
	go func() {
		_, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Size: &size})
		cut <- err
	}()
	r.waitHeld()
	removed, set := make(chan error, 1), make(chan error, 1)
	go func() { removed <- r.Unlink(ctxOf(t), r.Root(), "f") }()
	waitFor(t, "the removal waits", func() bool { return parkedIn("Unlink", "waitAll") > 0 })
	go func() {
		_, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode})
		set <- err
	}()
	waitFor(t, "the change waits", func() bool { return parkedIn("Setattr", "setOthers", "waitAll") > 0 })
	r.tap.Release()
	if err := errors.Join(<-cut, <-removed); err != nil {
		t.Error(err)
	}
	wantErrno(t, <-set, syscall.ESTALE)
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
}
