package sftpconn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// names is the body of a NAME.
func names(of ...string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(of)))
	for _, s := range of {
		for range 2 { // the name, and the one for people
			b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
			b = append(b, s...)
		}
		b = binary.BigEndian.AppendUint32(b, 0) // no attributes
	}
	return b
}

// listingServer answers the nth READDIR with the body of a NAME that answer gives.
func listingServer(t *testing.T, answer func(n int) []byte, change ...func(*Options)) (*Conn, *sftptest.Server, *sftptest.Tap) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	n := 0
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "READDIR" {
			return sftptest.Pass()
		}
		n++
		body := binary.BigEndian.AppendUint32(nil, p.ID)
		body = append(body, answer(n)...)
		raw := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)))
		return sftptest.ReplaceRaw(append(append(raw, 104), body...))
	})
	return connect(t, srv, change...), srv, tap
}

func TestNamesThatNoFileCanHaveAreLeftOutAndTold(t *testing.T) {
	var log logText
	long := strings.Repeat("\u6f22", 86) // 86 of Windows' letters, 258 bytes
	bad := []string{"", "a/b", "/etc", "nul\x00", long, strings.Repeat("x", 5000)}
	c, srv, _ := listingServer(t, func(n int) []byte {
		if n == 1 {
			return names(append(bad, ".", "..", "good", strings.Repeat("l", 255))...)
		}
		return names()
	}, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	var got []string
	err := c.List(limited(t), srv.Dir(), func(list []Entry, _ bool) error {
		for _, e := range list {
			got = append(got, e.Name)
		}
		return nil
	})
	if err != nil || len(got) != 2 || got[0] != "good" {
		t.Errorf("%q, %v", got, err)
	}
	if !log.has("no file can have here") || !log.has(fmt.Sprint("names=", len(bad))) || !log.has(srv.Dir()) {
		t.Errorf("the log does not tell of them: %s", &log)
	}
}

func TestAnAnswerWithoutNamesEndsAListing(t *testing.T) {
	c, srv, tap := listingServer(t, func(n int) []byte {
		if n == 1 {
			return names("a", "b")
		}
		return names()
	})
	var got []string
	err := c.List(limited(t), srv.Dir(), func(list []Entry, _ bool) error {
		for _, e := range list {
			got = append(got, e.Name)
		}
		return nil
	})
	if err != nil || fmt.Sprint(got) != "[a b]" || tap.Count("READDIR") > 3 {
		t.Errorf("%v, %v after %d READDIRs", got, err, tap.Count("READDIR"))
	}
}

func TestAListingWithoutEndIsGivenUp(t *testing.T) {
	before := listMost
	t.Cleanup(func() { listMost = before })
	listMost = 1000
	c, srv, _ := listingServer(t, func(n int) []byte { return names(fmt.Sprint("x", n), fmt.Sprint("y", n)) })
	got := 0
	err := c.List(limited(t), srv.Dir(), func(list []Entry, _ bool) error { got += len(list); return nil })
	if err == nil || !strings.Contains(err.Error(), "more than 1000") || got != 1000 {
		t.Errorf("%d names, %v", got, err)
	}
}

func listed(t *testing.T, c *Conn, path string) (string, error) {
	t.Helper()
	var all []string
	err := c.List(limited(t), path, func(list []Entry, restart bool) error {
		if restart {
			all = nil
		}
		for _, e := range list {
			all = append(all, e.Name)
		}
		return nil
	})
	slices.Sort(all)
	return strings.Join(all, " "), err
}

// twoDirectories makes a and b, each with one answer full of names and more, and says what they hold.
func twoDirectories(t *testing.T, srv *sftptest.Server) (a, b, inA, inB string) {
	t.Helper()
	dirs, want := [2]string{}, [2]string{}
	for i, name := range []string{"a", "b"} {
		dirs[i] = filepath.Join(srv.Dir(), name)
		if err := os.Mkdir(dirs[i], 0o755); err != nil {
			t.Fatal(err)
		}
		var all []string
		for n := range 120 {
			all = append(all, fmt.Sprintf("%s%03d", name, n))
			file(t, srv, name+"/"+all[n], nil)
		}
		want[i] = strings.Join(all, " ")
	}
	return dirs[0], dirs[1], want[0], want[1]
}

func TestASmallDirectoryIsListedInOneFlight(t *testing.T) {
	tap, srv, c := tapped(t)
	file(t, srv, "f", nil)
	tap.SetDelay(30 * time.Millisecond)
	for i := range 3 { // the handle of the one before is just being given back
		tap.Reset()
		if got, err := listed(t, c, srv.Dir()); got != "f" || err != nil {
			t.Errorf("listed %q, %v", got, err)
		}
		if n := tap.Flights(); n != 1 || tap.Count("OPENDIR", "READDIR") > 3 {
			t.Errorf("listing %d took %d flights:\n%s", i, n, strings.Join(tap.Log(), "\n"))
		}
	}
}

func TestAListingIsWholeWhereAnotherCannotBeOpened(t *testing.T) {
	tap, srv, c := tapped(t)
	tap.SetDelay(20 * time.Millisecond)
	a, b, inA, inB := twoDirectories(t, srv)
	var group sync.WaitGroup
	for range 20 {
		for path, want := range map[string]string{a: inA, b: inB, a + "/none": ""} {
			group.Go(func() {
				if got, err := listed(t, c, path); got != want || (err != nil) != (want == "") {
					t.Errorf("%s: %d bytes of names, %d wanted: %v", path, len(got), len(want), err)
				}
			})
		}
	}
	group.Wait()
}

// A server may answer in another order than it was asked in. READDIRs that were sent for one directory then come to another.
func TestAListingIsWholeWhereAnotherReadsWithItsHandle(t *testing.T) {
	tap, srv, c := tapped(t)
	a, b, inA, inB := twoDirectories(t, srv)
	const flight = 1 + listWindowFirst // the OPENDIR of a and the READDIRs behind it
	held := 0
	late := make(chan struct{})
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if held == flight || p.Name != "OPENDIR" && p.Name != "READDIR" {
			return sftptest.Pass()
		}
		if held++; held == flight {
			close(late)
		}
		return sftptest.Hold()
	})
	done := make(chan error, 1)
	go func() {
		got, err := listed(t, c, a)
		if err == nil && got != inA {
			err = fmt.Errorf("%d bytes of names, %d wanted", len(got), len(inA))
		}
		done <- err
	}()
	<-late
	opened := 0
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "OPENDIR" {
			if opened++; opened == 1 {
				go tap.Release() // b has the handle that was foreseen for a, and those READDIRs come
			}
		}
		return sftptest.Pass()
	})
	if got, err := listed(t, c, b); got != inB || err != nil {
		t.Errorf("b: %d bytes of names, %d wanted: %v", len(got), len(inB), err)
	}
	tap.Release()
	if err := <-done; err != nil {
		t.Errorf("a: %v", err)
	}
}

func TestAListingIsWholeWhereHandlesAreNotThoseForeseen(t *testing.T) {
	tap, srv, c := tapped(t)
	keepHandles(tap)
	a, b, inA, inB := twoDirectories(t, srv)
	for range 3 {
		for path, want := range map[string]string{a: inA, b: inB} {
			if got, err := listed(t, c, path); got != want || err != nil {
				t.Errorf("%s: %d bytes of names, %d wanted: %v", path, len(got), len(want), err)
			}
		}
	}
}

// A server may take its time to give a handle free: then READDIRs that go out with what was foreseen bring what is left in there.
func TestNoNamesAreThoseOfADirectoryWhoseListingWasStopped(t *testing.T) {
	tap, srv, c := tapped(t)
	keepHandles(tap)
	for dir, n := range map[string]int{"long": 500, "other": 1} {
		if err := os.Mkdir(filepath.Join(srv.Dir(), dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			file(t, srv, fmt.Sprintf("%s/%s%d", dir, dir, i), nil)
		}
	}
	enough := errors.New("enough")
	if err := c.List(limited(t), filepath.Join(srv.Dir(), "long"), func([]Entry, bool) error { return enough }); err != enough {
		t.Fatal(err)
	}
	closed(t, c)
	if got, err := listed(t, c, filepath.Join(srv.Dir(), "other")); got != "other0" || err != nil {
		t.Errorf("listed %.60q, %v", got, err)
	}
}

// As a walk through a tree does.
func TestManyDirectoriesListedAtOnceAreOpenedOnceEach(t *testing.T) {
	tap, srv, c := tapped(t)
	const dirs, together = 120, 16
	for i := range dirs {
		if err := os.Mkdir(fmt.Sprintf("%s/d%d", srv.Dir(), i), 0o755); err != nil {
			t.Fatal(err)
		}
		file(t, srv, fmt.Sprintf("d%d/f", i), nil)
	}
	tap.SetDelay(20 * time.Millisecond)
	tap.Reset()
	next := make(chan int, dirs)
	for i := range dirs {
		next <- i
	}
	close(next)
	var group sync.WaitGroup
	for range together {
		group.Go(func() {
			for i := range next {
				if got, err := listed(t, c, fmt.Sprintf("%s/d%d", srv.Dir(), i)); got != "f" || err != nil {
					t.Errorf("listed %q, %v", got, err)
				}
			}
		})
	}
	group.Wait()
	if opens, reads := tap.Count("OPENDIR"), tap.Count("READDIR"); opens != dirs || reads != 2*dirs {
		t.Errorf("%d OPENDIRs and %d READDIRs for %d directories", opens, reads, dirs)
	}
	if n := tap.Flights(); n > 2*dirs/together {
		t.Errorf("%d flights", n)
	}
}
