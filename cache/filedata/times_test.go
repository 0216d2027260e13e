package filedata

import (
	"bytes"
	"testing"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

func mtime(n uint32) sftpconn.Attr { return sftpconn.Attr{Flags: session.HasTimes, Mtime: n} }

func TestSmallFileWithTimesIsOneFlight(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	data := random(10_000)
	for off := 0; off < len(data); off += 1000 {
		mustWrite(t, h, data[off:off+1000], int64(off))
	}
	if !f.SetTimes(mtime(7)) {
		t.Fatal("SetTimes says that nothing is unacknowledged")
	}
	mustFlush(t, h)
	if r := s.asked(); len(r) != 1 || r[0] != (request{"write+setstat", 0, 10_000}) {
		t.Fatalf("requests: %v", r)
	}
	if !bytes.Equal(s.content(), data) || s.times.Mtime != 7 {
		t.Fatal("wrong bytes or times")
	}
	if f.SetTimes(mtime(8)) {
		t.Fatal("SetTimes took times for a clean file")
	}
}

func TestTimesFollowTheLastOfSeveralPieces(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	open, waiting := s.hold(ops("write"))
	mustWrite(t, h, random(200_000), 0)
	eventually(t, "the full pieces are in flight", func() bool { return waiting() == 3 })
	f.SetTimes(mtime(7))
	f.SetTimes(mtime(8))
	open()
	mustFlush(t, h)
	r := s.asked()
	if last := r[len(r)-1]; last.op != "setstat" || s.times.Mtime != 8 {
		t.Fatalf("requests: %v", r)
	}
}

// Once all but the last piece are acknowledged, a file of several pieces ends like a small one.
func TestTimesGoOutWithTheOnlyPieceThatIsLeft(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, random(200_000), 0)
	eventually(t, "the full pieces are acknowledged", func() bool { return p.Stats().Dirty < 64<<10 })
	f.SetTimes(mtime(7))
	mustFlush(t, h)
	r := s.asked()
	if last := r[len(r)-1]; last != (request{"write+setstat", 196_608, 3392}) || s.times.Mtime != 7 {
		t.Fatalf("requests: %v", r)
	}
}

func TestWriteAfterTimesIsSentAfterThem(t *testing.T) {
	s := newServer(nil)
	p, f, h := opened(t, Options{}, s)
	slowIdle(p)
	mustWrite(t, h, []byte("aaaa"), 0)
	f.SetTimes(mtime(7))
	mustWrite(t, h, []byte("bb"), 2)
	mustFlush(t, h)
	r := s.asked()
	if len(r) != 2 || r[0].op != "write+setstat" || r[1] != (request{"write", 2, 2}) {
		t.Fatalf("requests: %v", r)
	}
	if s.times != nil || string(s.content()) != "aabb" {
		t.Fatalf("times %v, %q", s.times, s.content())
	}
}
