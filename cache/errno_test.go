package cache

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
)

// The numbers are those of draft-ietf-secsh-filexfer-13, section 9.1.
func TestEachStatusCodeHasItsErrno(t *testing.T) {
	for _, tt := range []struct {
		code uint32
		op   string
		want syscall.Errno
	}{
		{2, "open", syscall.ENOENT},
		{3, "open", syscall.EACCES},
		{3, "setattr", syscall.EPERM},
		{4, "open", syscall.EIO},
		{5, "open", syscall.EINVAL},
		{6, "open", syscall.EIO},
		{7, "open", syscall.EIO},
		{8, "open", syscall.EOPNOTSUPP},
		{9, "read", syscall.EBADF},
		{10, "open", syscall.ENOENT},
		{11, "mkdir", syscall.EEXIST},
		{12, "write", syscall.EROFS},
		{13, "open", syscall.ENXIO},
		{14, "write", syscall.ENOSPC},
		{15, "write", syscall.EDQUOT},
		{16, "setattr", syscall.EINVAL},
		{17, "write", syscall.EAGAIN},
		{18, "rmdir", syscall.ENOTEMPTY},
		{19, "rmdir", syscall.ENOTDIR},
		{20, "create", syscall.EINVAL},
		{21, "open", syscall.ELOOP},
		{22, "unlink", syscall.EPERM},
		{23, "open", syscall.EINVAL},
		{24, "open", syscall.EISDIR},
		{25, "write", syscall.EAGAIN},
		{26, "write", syscall.EAGAIN},
		{27, "create", syscall.EBUSY},
		{28, "read", syscall.EIO},
		{29, "setattr", syscall.EPERM},
		{30, "setattr", syscall.EPERM},
		{31, "write", syscall.EIO},
		{32, "open", syscall.EIO},
	} {
		err := new(Cache).errno(t.Context(), tt.op, "/f", fmt.Errorf("%s: %w", tt.op, &session.StatusError{Code: tt.code}))
		if !errors.Is(err, tt.want) {
			t.Errorf("status %d of %s: %v, want %v", tt.code, tt.op, err, tt.want)
		}
	}
}
