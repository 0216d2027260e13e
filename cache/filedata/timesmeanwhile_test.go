package filedata

import "testing"

func TestTimesThatAreSetWhileOthersAreOnTheirWayAreTheLast(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	open, waiting := s.hold(ops("write+setstat"))
	defer open()
	mustWrite(t, h, []byte("x"), 0)
	f.SetTimes(mtime(7))
	f.Push()
	eventually(t, "the bytes and the first times are on their way", func() bool { return waiting() == 1 })
	if !f.SetTimes(mtime(8)) {
		t.Fatal("SetTimes says that nothing is unacknowledged")
	}
	open()
	mustFlush(t, h)
	s.set(func() {
		if s.times == nil || s.times.Mtime != 8 {
			t.Errorf("the server has %+v", s.times)
		}
	})
}
