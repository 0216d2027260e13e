package control

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestLongRequestsTellHowTheyGetOn(t *testing.T) {
	runtimeDir(t)
	b := &backend{status: Status{State: Connected, Unsaved: Unsaved{Bytes: 12 << 20, Count: 5000, Files: []string{"a", "b", "c"}, Operations: 2}}}
	told := make(chan struct{})
	b.sync = func(ctx context.Context) error {
		select {
		case <-told:
		case <-ctx.Done():
		}
		return errors.New("/f: no space left on device")
	}
	var wish UmountRequest
	b.umount = func(_ context.Context, w UmountRequest) Outcome {
		wish = w
		return Outcome{Unsaved: true, Error: "x", Rescued: []string{"/r"}}
	}
	c := Connect(listen(t, "/mnt/x", b).Record())
	var lines []string
	o, err := c.Sync(t.Context(), func(p Progress) {
		if lines = append(lines, p.String()); len(lines) == 2 {
			close(told)
		}
	})
	if err != nil || !o.Unsaved || o.Error != "/f: no space left on device" {
		t.Errorf("sync: %+v, %v", o, err)
	}
	if len(lines) < 2 || lines[0] != "5000 files, 12 MiB, 2 operations to go" {
		t.Errorf("progress %q", lines)
	}
	o, err = c.Umount(t.Context(), UmountRequest{Lazy: true, Timeout: time.Minute}, func(Progress) {})
	if err != nil || len(o.Rescued) != 1 || !wish.Lazy || wish.Timeout != time.Minute {
		t.Errorf("umount: %+v, %v, wish %+v", o, err, wish)
	}
}

// When all is saved the mount closes the connection itself, and may take a while to end.
func TestAnEndWithNothingToSaveTellsOfNoLostLine(t *testing.T) {
	for _, c := range []struct {
		unsaved int
		idle    bool
	}{{0, true}, {1, false}} {
		runtimeDir(t)
		told := make(chan struct{})
		once := sync.OnceFunc(func() { close(told) })
		b := &backend{status: Status{State: Disconnected, LastError: "closed", Ending: true, Unsaved: Unsaved{Operations: c.unsaved}}}
		b.umount = func(context.Context, UmountRequest) Outcome {
			<-told
			return Outcome{}
		}
		_, err := Connect(listen(t, "/mnt/x", b).Record()).Umount(t.Context(), UmountRequest{}, func(p Progress) {
			if p.Idle() != c.idle {
				t.Errorf("with %d operations unsaved: %v", c.unsaved, p)
			}
			once()
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestAnAskerWhoLeavesEndsTheWait(t *testing.T) {
	runtimeDir(t)
	ended := make(chan struct{})
	b := &backend{sync: func(ctx context.Context) error {
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}}
	c := Connect(listen(t, "/mnt/x", b).Record())
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.Sync(ctx, func(Progress) { cancel() }); err == nil {
		t.Error("sync ended well")
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the mount still waits for somebody who left")
	}
}
