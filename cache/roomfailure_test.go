package cache

import (
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// failBeyond makes the server fail each opening of one more file than most, as OpenSSH does without descriptors.
func failBeyond(r *rig, most int64) {
	var open atomic.Int64
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch p.Name {
		case "OPEN":
			if open.Load() >= most {
				return sftptest.Answer(session.StatusFailure, "Failure")
			}
			open.Add(1)
		case "OPENDIR":
			open.Add(1) // as it is closed the same way
		case "CLOSE":
			open.Add(-1)
		}
		return sftptest.Pass()
	})
}

// OpenSSH's FAILURE is also that its process has as many descriptors as it may: 1024 under systemd.
func TestMoreFilesAreMadeBeforehandThanOpenSSHMayHaveDescriptors(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	failBeyond(r, 6)
	defer r.tap.OnRequest(nil)
	r.tap.SetDelay(3 * time.Millisecond)
	r.wantMade(100)
}

func TestAProgramIsNotRefusedByOpenSSHForFilesThatItHasClosed(t *testing.T) {
	r := newRig(t, async)
	r.put("there", "content")
	r.list(r.Root())
	failBeyond(r, 6)
	defer r.tap.OnRequest(nil)
	r.tap.SetDelay(3 * time.Millisecond)
	r.wantReadBehindClosed()
}
