package cache

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/sftptest"
)

// newFewRig is newRig with a server of OpenSSH that may have 64 descriptors.
func newFewRig(t *testing.T, change func(*Options)) *rig {
	program := sftptest.Program(t)
	return newRigOver(t, sftpconn.Options{}, change, sftptest.InDir(t.TempDir()),
		sftptest.Command("/bin/sh", "-c", `ulimit -n 64; exec "$0" -e`, program))
}

// As a program gets it from its own system, and can tell its user.
func TestAProgramIsToldThatTheServerHasNoDescriptorLeft(t *testing.T) {
	for what, open := range map[string]func(r *rig, name string) (*Handle, error){
		"read": func(r *rig, name string) (*Handle, error) {
			h, _, err := r.Open(ctxOf(r.t), r.mustFind(name).Node, syscall.O_RDONLY)
			return h, err
		},
		"write": func(r *rig, name string) (*Handle, error) {
			h, _, err := r.Open(ctxOf(r.t), r.mustFind(name).Node, syscall.O_RDWR)
			return h, err
		},
		"create": func(r *rig, name string) (*Handle, error) {
			_, h, err := r.Create(ctxOf(r.t), r.Root(), name, syscall.O_RDWR, 0o644)
			return h, err
		},
		"create anew": func(r *rig, name string) (*Handle, error) {
			_, h, err := r.Create(ctxOf(r.t), r.Root(), name, syscall.O_RDWR|syscall.O_EXCL, 0o644)
			return h, err
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newFewRig(t, func(o *Options) { o.NoPrefetch = true })
			for i := range 70 {
				if what == "read" || what == "write" {
					r.put(fmt.Sprint("f", i), "content")
				}
			}
			var err error
			for i := 0; i < 70 && err == nil; i++ {
				var h *Handle
				if h, err = open(r, fmt.Sprint("f", i)); err == nil {
					defer h.Release()
				}
			}
			wantErrno(t, err, syscall.ENFILE)
		})
	}
}

// The program would have been told that each of them is made.
func TestAsyncNoMoreFilesAreMadeBeforehandThanTheServerCanHaveOpen(t *testing.T) {
	r := newFewRig(t, async)
	r.list(r.Root())
	r.tap.SetDelay(5 * time.Millisecond) // creations are on their way
	var made []*Handle
	for i := range 70 {
		_, h, err := r.Create(ctxOf(t), r.Root(), fmt.Sprint("f", i), syscall.O_RDWR|syscall.O_EXCL, 0o644)
		if err != nil {
			wantErrno(t, err, syscall.ENFILE)
			break
		}
		made = append(made, h)
	}
	for i, h := range made {
		r.fill(h, "content")
		if err := h.Fsync(ctxOf(t)); err != nil {
			t.Errorf("f%d: %v", i, err)
		}
		h.Release()
	}
	if len(made) < 30 || len(made) == 70 {
		t.Errorf("%d files are open at a time", len(made))
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
}
