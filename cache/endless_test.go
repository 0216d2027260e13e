package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// endless has each READDIR answered with many names more, of at least so many bytes.
func endless(r *rig, many, long int) {
	count := 0 // names given; the tap's goroutine alone has it
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "READDIR" {
			return sftptest.Pass()
		}
		body := binary.BigEndian.AppendUint32(nil, uint32(many))
		for range many {
			count++
			name := fmt.Sprint(count)
			name += strings.Repeat("x", max(0, long-len(name)))
			body = append(binary.BigEndian.AppendUint32(body, uint32(len(name))), name...)
			body = binary.BigEndian.AppendUint32(body, 0) // no long name
			body = binary.BigEndian.AppendUint32(body, session.HasSize|session.HasMode|session.HasTimes)
			body = binary.BigEndian.AppendUint64(body, 5)
			body = binary.BigEndian.AppendUint32(body, syscall.S_IFREG|0o644)
			body = binary.BigEndian.AppendUint64(body, 1e9<<32+1e9)
		}
		return sftptest.ReplaceRaw(append(binary.BigEndian.AppendUint32(append(binary.BigEndian.AppendUint32(nil, uint32(5+len(body))), 104), p.ID), body...))
	})
}

// What a program has read of it stays, up to a bound, which holds for what the names really take.
func TestAListingWithoutEndIsGivenUpBeforeItFillsTheMemory(t *testing.T) {
	most, found := listingMost, foundMost
	t.Cleanup(func() { listingMost, foundMost = most, found })
	listingMost, foundMost = 16<<20, 1000
	for name, long := range map[string]int{"short names": 1, "long names": 240} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("d/f", "x")
			endless(r, 100, long)
			defer r.tap.OnReply(nil)
			n := r.mustFind("d").Node
			ctx, empty := ctxOf(t), liveHeap()
			d, err := r.OpenDir(ctx, n)
			if err != nil {
				t.Fatal(err)
			}
			references := uint64(0)
			for e := (DirEntry{}); err == nil; {
				if e, err = d.Next(ctx, e.Off); err == nil {
					if _, ok := d.Found(e); ok {
						references++
					}
				}
			}
			if references != foundMost {
				t.Errorf("references for %d names", references)
			}
			if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "more names than fit") {
				t.Errorf("it ends with %v", err)
			}
			takes := liveHeap() - empty
			for end := time.Now().Add(10 * time.Second); takes > listingMost*11/10 && time.Now().Before(end); takes = liveHeap() - empty {
				time.Sleep(5 * time.Millisecond) // until the answers that were on their way are taken
			}
			names := d.list.ents.len()
			if takes > listingMost*11/10 {
				t.Errorf("%d names take %d bytes, of %d that are allowed", names, takes, listingMost)
			}
			// Not seen in what they take: tests before may have left something that has gone since.
			kept := liveHeap()
			d.Release()
			d = nil
			if gives := kept - liveHeap(); gives < listingMost/2 {
				t.Errorf("the end of %d names gives %d bytes back, of %d that are allowed", names, gives, listingMost)
			}
		})
	}
}

// liveHeap is how many bytes of the heap are in use.
func liveHeap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools held
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
