package fusefs

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

func TestErrnoOf(t *testing.T) {
	timeout, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-timeout.Done()
	for _, c := range []struct {
		err   error
		want  syscall.Errno
		known bool
	}{
		{nil, 0, true},
		{syscall.ENOTEMPTY, syscall.ENOTEMPTY, true},
		{fmt.Errorf("rmdir /x: %w", syscall.ENOTEMPTY), syscall.ENOTEMPTY, true},
		{errors.Join(errors.New("first"), syscall.ESTALE), syscall.ESTALE, true},
		{errInterrupted, syscall.EINTR, true},
		{errAborted, syscall.EINTR, true},
		{context.Canceled, syscall.EINTR, true},
		{context.Cause(timeout), syscall.ETIMEDOUT, true},
		{errors.New("what no program can know"), syscall.EIO, false},
		{syscall.Errno(0), syscall.EIO, false},
	} {
		got, known := errnoOf(c.err)
		if got != c.want || known != c.known {
			t.Errorf("errnoOf(%v) is %v, %v, want %v, %v", c.err, got, known, c.want, c.known)
		}
	}
}
