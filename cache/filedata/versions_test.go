package filedata

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	cells   = 24
	cellLen = 4
)

// versions is a file of cells, of which each holds the number of the write that it is of.
type versions struct {
	turn sync.Mutex // held while a write is given its number and goes in

	mu   sync.Mutex // guards what follows; after turn and the server's
	last uint32
	now  [cells]uint32
	set  map[uint32][cells]uint32 // by the mtime of times that were set: what was written before
}

func numbers(b []byte) (v [cells]uint32) {
	for i := range v {
		if len(b) >= (i+1)*cellLen {
			v[i] = binary.BigEndian.Uint32(b[i*cellLen:])
		}
	}
	return v
}

// Beside writers that never rest a flush comes to its end, and leaves what was written before it on the server, or what was written over
// that; and times come behind what was written before them, and before all else.
func TestFlushesAndTimesBesideWriters(t *testing.T) {
	for _, kind := range []string{"plain", "with times", "with times", "sync writes"} {
		t.Run(kind, func(t *testing.T) { testVersions(t, kind == "sync writes", kind == "with times") })
	}
}

func testVersions(t *testing.T, syncWrites, withTimes bool) {
	s := newServer(nil)
	s.maxWrite = cellLen * (1 + rand.IntN(5))
	s.delay = func() time.Duration { return time.Duration(rand.IntN(2000)) * time.Microsecond }
	v := versions{set: map[uint32][cells]uint32{}}
	_, f, h1 := opened(t, Options{SyncWrites: syncWrites}, s)
	f.pool.idleTime, f.pool.idleLongest = 3*time.Millisecond, 6*time.Millisecond
	handles := []*Handle{h1, f.Open(s), f.Open(s)}
	var behind atomic.Pointer[string]
	fault := func(msg string) { behind.CompareAndSwap(nil, &msg) }
	s.onTimes = func(m uint32) { // with the server's lock held
		there := numbers(append(s.data, make([]byte, cells*cellLen-len(s.data))...))
		v.mu.Lock()
		before, now := v.set[m], v.now
		v.mu.Unlock()
		for i := range there {
			switch {
			case there[i] < before[i] && now[i] == before[i]:
				fault("times came before bytes written before them")
			case there[i] > m:
				fault("bytes have overtaken times")
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, h := range handles[:2] {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				from := rand.IntN(cells)
				n := 1 + rand.IntN(cells-from)
				v.turn.Lock()
				v.mu.Lock()
				v.last++
				b := make([]byte, n*cellLen)
				for i := range n {
					binary.BigEndian.PutUint32(b[i*cellLen:], v.last)
					v.now[from+i] = v.last
				}
				v.mu.Unlock()
				err := h.Write(ctx, b, int64(from*cellLen))
				v.turn.Unlock()
				if err != nil {
					fault("write: " + err.Error())
				}
				time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			}
		})
	}
	if withTimes {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond):
				}
				v.turn.Lock()
				v.mu.Lock()
				v.set[v.last] = v.now
				m := mtime(v.last)
				v.mu.Unlock()
				f.SetTimes(m)
				v.turn.Unlock()
			}
		})
	}
	var flushers sync.WaitGroup
	for i, h := range handles {
		flushers.Go(func() {
			for range 40 {
				v.turn.Lock()
				before := v.now
				v.turn.Unlock()
				var err error
				if i == 2 {
					err = h.Sync(ctx)
				} else {
					err = h.Flush(ctx, true)
				}
				if err != nil {
					fault("flush: " + err.Error())
					return
				}
				there := numbers(s.content())
				for c := range there {
					if there[c] < before[c] {
						fault("a flush has not waited for what was written before")
						return
					}
				}
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
			}
		})
	}
	flushers.Wait()
	close(stop)
	wg.Wait()
	for _, h := range handles {
		if err := h.Flush(ctx, true); err != nil && !errors.Is(err, context.Canceled) {
			fault("the last flush: " + err.Error())
		}
	}
	if there := numbers(s.content()); there != v.now {
		fault("what is there in the end is not what was written")
	}
	for _, h := range handles[1:] {
		h.Close()
	}
	if msg := behind.Load(); msg != nil {
		t.Errorf("%d bytes a request: %s", s.maxWrite, *msg)
	}
	if s.overlap != "" {
		t.Errorf("overlapping writes in flight: %s", s.overlap)
	}
}
