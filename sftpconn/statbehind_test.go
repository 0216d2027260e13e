package sftpconn

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// writeAndStat writes a little, which must succeed, and gives what came of the question behind it.
func writeAndStat(t *testing.T, f *File) (told func() (Attr, bool)) {
	t.Helper()
	written := make(chan error, 1)
	f.mu.Lock()
	asked := f.out.asked + 5
	f.mu.Unlock()
	go func() { written <- f.WriteAt(limited(t), []byte("bytes"), 0) }()
	told = f.StatBehind(limited(t), nil, asked)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	return told
}

// asksFirst has a WRITE be answered when the file was asked about, and not before: no question goes out behind what is acknowledged.
func asksFirst(tap *sftptest.Tap) {
	tap.Reset()
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "WRITE" {
			for end := time.Now().Add(patience); tap.Count("FSTAT") == 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
		}
		return sftptest.Pass()
	})
}

// stripedWriting has f opened for writing on ch, too. It writes meanwhile, as a file must change to be proven the same.
func stripedWriting(t *testing.T, f *File, ch *channel) {
	t.Helper()
	f.mu.Lock()
	h := f.stripe(ch, writing)
	f.mu.Unlock()
	for off := int64(0); !h.openDone(); off++ {
		if err := f.WriteAt(limited(t), []byte("x"), off); err != nil {
			t.Fatal(err)
		}
	}
	if h.err != nil {
		t.Fatal(h.err)
	}
}

func TestWhatAFileIsAfterAWriteIsToldInItsFlight(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", nil), wr)
	asksFirst(tap)
	told := writeAndStat(t, f)
	if told == nil {
		t.Fatal("it was not told")
	}
	if a, ok := told(); !ok || a.Size != 5 || time.Since(time.Unix(int64(a.Mtime), 0)) > time.Minute {
		t.Errorf("told of %+v, to be believed: %v", a, ok)
	}
	if n := tap.Flights(); n != 1 {
		t.Errorf("it took %d flights", n)
	}
	if err := f.WriteAt(limited(t), []byte("more"), 5); err != nil {
		t.Fatal(err)
	}
	if _, ok := told(); ok {
		t.Error("of before a later write, and to be believed")
	}
}

func TestNothingIsToldBehindWritesThatAreAnswered(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, filepath.Join(srv.Dir(), "f"), wr|cre)
	if err := f.WriteAt(limited(t), []byte("bytes"), 0); err != nil {
		t.Fatal(err)
	}
	tap.Reset()
	if f.StatBehind(limited(t), nil, 5) != nil || tap.Count("FSTAT") > 0 {
		t.Error("it was asked in a flight of its own")
	}
	until := make(chan struct{})
	close(until)
	if f.StatBehind(limited(t), until, 10) != nil {
		t.Error("it was asked behind what was not written")
	}
}

// What is on one channel has no order with what is on another.
func TestWritesOnSeveralChannelsAreNotFollowedByAQuestion(t *testing.T) {
	tap, srv, c := tapped(t)
	ch := bulkChannel(t, c)
	f := openFile(t, c, filepath.Join(srv.Dir(), "f"), wr|cre)
	stripedWriting(t, f, ch)
	var once sync.Once
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		act := sftptest.Pass()
		if p.Request != nil && p.Request.Name == "WRITE" {
			once.Do(func() { act = sftptest.Hold() })
		}
		return act
	})
	const farAway = 1 << 20
	ch.load[writing].Add(2 * loadOfLastResort) // so that the other one is chosen
	first := make(chan error, 1)
	go func() { first <- f.WriteAt(limited(t), []byte("first"), farAway) }()
	if !tap.WaitHeld(1, patience) {
		t.Fatal("nothing was written")
	}
	ch.load[writing].Add(-2 * loadOfLastResort)
	tap.SetDelay(50 * time.Millisecond)
	tap.Reset()
	if told := writeAndStat(t, f); told != nil || tap.Count("FSTAT") > 0 {
		t.Error("it was asked behind the writes of one channel")
	}
	tap.Release()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	asksFirst(tap)
	told := writeAndStat(t, f)
	if told == nil {
		t.Fatal("it was not told when the writes of the other were answered")
	}
	if a, ok := told(); !ok || a.Size != farAway+5 {
		t.Errorf("told of %+v, to be believed: %v", a, ok)
	}
}

func TestAQuestionBehindAWriteThatTheLineSwallowedTellsNothing(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, filepath.Join(srv.Dir(), "f"), wr|cre)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "WRITE" {
			tap.OnReply(nil)
			srv.Cut()
		}
		return sftptest.Pass()
	})
	if told := writeAndStat(t, f); told != nil {
		if _, ok := told(); ok {
			t.Error("a lost connection counts as an answer")
		}
	}
}

// The server's umask takes bits away when the file is made, and a request behind that gives them back.
func TestAFileIsToldWithTheBitsThatItGets(t *testing.T) {
	for _, beside := range []bool{false, true} {
		tap := sftptest.NewTap()
		srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
		c := connect(t, srv)
		ch := bulkChannel(t, c)
		tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
			if p.Name == "FSETSTAT" && beside {
				return sftptest.Hold()
			}
			return sftptest.Pass()
		})
		f := openFile(t, c, filepath.Join(srv.Dir(), "f"), wr|cre|session.OpenExcl)
		if beside {
			stripedWriting(t, f, ch)
			tap.SetDelay(50 * time.Millisecond) // so that the write is still under way where it is asked
		} else {
			asksFirst(tap)
		}
		told := writeAndStat(t, f)
		tap.Release()
		switch {
		case beside && told != nil:
			t.Error("it was asked on another channel than that on which it gets its bits")
		case !beside && told == nil:
			t.Error("it was not told")
		case !beside:
			if a, _ := told(); a.Mode&modePerm != 0o644 {
				t.Errorf("it was told with mode %o", a.Mode)
			}
		}
	}
}

func TestWhatAFileIsAfterACutIsToldInItsFlight(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", []byte("content")), wr)
	tap.SetDelay(50 * time.Millisecond)
	tap.Reset()
	a, told, err := f.Truncate(limited(t), Attr{Flags: session.HasSize, Size: 3})
	if err != nil || !told || a.Size != 3 {
		t.Errorf("told of %+v: %v, %v", a, told, err)
	}
	if n := tap.Flights(); n != 1 {
		t.Errorf("it took %d flights", n)
	}
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "FSETSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	if _, told, err = f.Truncate(limited(t), Attr{Flags: session.HasSize, Size: 1}); err == nil || told {
		t.Errorf("a cut that is refused: %v, %v", told, err)
	}
}

func TestAQuestionBehindACutThatTheLineSwallowedIsNotWaitedFor(t *testing.T) {
	tap, srv, c := tapped(t)
	f := openFile(t, c, file(t, srv, "f", []byte("content")), wr)
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "FSTAT" {
			tap.OnReply(nil)
			srv.Cut()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
	// Where the answer to the cut was lost as well both are asked for again.
	if a, told, err := f.Truncate(limited(t), Attr{Flags: session.HasSize, Size: 3}); err != nil || told && a.Size != 3 {
		t.Errorf("told of %+v: %v, %v", a, told, err)
	}
}
