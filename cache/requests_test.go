package cache

import (
	"slices"
	"sync"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

const longEnough = 10 * time.Second

// holdReply keeps the answer to the next request of this name back.
func (r *rig) holdReply(request string) {
	var once sync.Once
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		act := sftptest.Pass()
		if p.Request != nil && p.Request.Name == request {
			once.Do(func() { act = sftptest.Hold() })
		}
		return act
	})
}

// holdRequest keeps the next request of this name on its way; those behind it overtake it.
func (r *rig) holdRequest(name string) {
	var once sync.Once
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		act := sftptest.Pass()
		if p.Name == name {
			once.Do(func() { act = sftptest.Hold() })
		}
		return act
	})
}

// holdRequests keeps all requests of these names on their way.
func (r *rig) holdRequests(names ...string) {
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if slices.Contains(names, p.Name) {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
}

func (r *rig) waitHeld() {
	r.t.Helper()
	if !r.tap.WaitHeld(1, longEnough) {
		r.t.Fatal("the request never came")
	}
}

// refuse has the server refuse every request of this name.
func (r *rig) refuse(name string) {
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == name {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
}

// refuseLater is refuse, of which nothing is told before answer is called: to a file with bytes that were refused no more can be written.
func (r *rig) refuseLater(name string) (answer func()) {
	let := make(chan struct{})
	answer = sync.OnceFunc(func() { close(let) })
	r.t.Cleanup(answer)
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == name {
			<-let
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	return answer
}

// onReplyBehind has hook look at the replies (nil lets them pass), and a write be answered when the file was asked about, and not before:
// no question goes out behind what is acknowledged.
func (r *rig) onReplyBehind(hook func(sftptest.Packet) sftptest.Action) {
	before := r.tap.Count("FSTAT")
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "WRITE" {
			for end := time.Now().Add(longEnough); r.tap.Count("FSTAT") == before && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
		}
		if hook == nil {
			return sftptest.Pass()
		}
		return hook(p)
	})
}
