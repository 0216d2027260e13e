package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
)

// rescue keeps bytes that the server does not take, in files on this machine: sparse ones, with each byte at its place.
type rescue struct {
	dir string
	log *slog.Logger

	sync func(*os.File) error // File.Sync; tests have another

	mu       sync.Mutex // guards the rest; held over writes to the local disk, never with another lock
	files    map[*Node]*rescued
	lines    []string        // for status: what was rescued, where and why; maxReports of them
	more     int             // how many more there would be
	unsynced map[string]bool // rescue files with bytes that the disk may not have yet
	syncing  chan struct{}   // closed by syncAll when it has nothing left to do; nil where it does not run
}

// rescued is the rescue file for the bytes of a node.
type rescued struct {
	name  string
	parts []extent // what it holds, in no order
}

// extent are the bytes of a file from off on, before end.
type extent struct{ off, end int64 }

// take notes that the file is to hold some bytes. False where it holds some of them already: those were written at another time.
func (r *rescued) take(off, end int64) bool {
	for _, p := range r.parts {
		if off < p.end && p.off < end {
			return false
		}
	}
	for i := range r.parts {
		switch p := &r.parts[i]; {
		case p.end == off:
			p.end = end
			return true
		case p.off == end:
			p.off = off
			return true
		}
	}
	r.parts = append(r.parts, extent{off, end})
	return true
}

// nameless stands in messages for a file whose path is not known.
const nameless = "a file that has no name any more"

// nameOf is how messages name a file: by its path, or the last one that it had. Called with Cache.mu held.
func (c *Cache) nameOf(n *Node) string { return cmp.Or(c.lastPath(n), nameless) }

// lost is filedata's hook: bytes can't be delivered. It rescues and reports them.
func (c *Cache) lost(tag any, off int64, data []byte, why error) {
	c.notStored(tag)
	n, _ := tag.(*Node)
	remote, unwanted := nameless, false
	if n != nil {
		c.mu.Lock()
		remote, unwanted = c.nameOf(n), n.discarded()
		c.mu.Unlock()
	}
	if unwanted {
		c.log.Info("bytes of a file that was removed here could not be delivered: they are given up with it",
			"file", remote, "offset", off, "bytes", len(data), "why", why)
		return // programs that have the file open are told
	}
	explain := func(ctx context.Context) error { return c.explainWrite(ctx, n, "write", off+int64(len(data)), why) }
	why = c.whyLost(n, why, explain)
	where, first, err := c.rescue.save(n, remote, off, data, why)
	if err != nil {
		c.log.Error("bytes could not be delivered and not be rescued either: they are lost",
			"file", remote, "offset", off, "bytes", len(data), "why", why, "rescue", err)
		c.errs.addUndelivered(remote, off, int64(len(data)), "lost", fmt.Errorf("%w; rescuing them failed: %w", why, err))
		c.keepLost(n, explain)
		return
	}
	if first {
		c.log.Error("bytes could not be delivered; they are kept on this machine", "file", remote, "why", why, "rescued", where)
	}
	c.log.Debug("rescued", "file", remote, "offset", off, "bytes", len(data), "why", why, "rescued", where)
	c.errs.addUndelivered(remote, off, int64(len(data)), "kept in "+where, why)
	c.keepLost(n, explain)
}

// notStored has programs see from now on what the server has of a file, as it has not taken all bytes. It is filedata's hook Refused, too.
func (c *Cache) notStored(tag any) {
	n, _ := tag.(*Node)
	if n == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed(n)
	n.expire()
	if n.file != nil {
		n.file.version.known = false
		c.contentChanged(n)
	}
}

// explainedFor is how long the reason that was found for one refusal counts for others of the same file.
const explainedFor = 5 * time.Second

// explanation is the reason that was last found for a refusal. Guarded by Cache.mu.
type explanation struct {
	of    uint64 // the id of the node
	why   error
	until int64 // when it has had its time (Cache.now)
}

// whyLost gives the reason of a refusal, for the log, the status and the note beside the rescued bytes: why, or, where the server gave no
// reason, what explain finds out. A full disk refuses every write that is on its way to a file: one of them asks, and its answer counts for
// the others for explainedFor.
func (c *Cache) whyLost(n *Node, why error, explain func(context.Context) error) error {
	if n == nil || !failure(why) {
		return why
	}
	found, _, _ := c.explaining.Do(strconv.FormatUint(n.id, 10), func() (any, error) {
		c.mu.Lock()
		last := c.explained
		c.mu.Unlock()
		if last.of == n.id && c.now() < last.until {
			return last.why, nil
		}
		ctx, stop := c.conn.Bounded(c.ctx)
		defer stop()
		err := why
		if told, ok := errors.AsType[*opError](explain(ctx)); ok && told.errno != syscall.EIO { // which is no more than what the server said
			err = fmt.Errorf("%w: %w", told.errno, why)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.explained = explanation{n.id, err, c.now() + int64(explainedFor)}
		return err, nil
	})
	return found.(error)
}

// save writes bytes that could not be delivered to the rescue file of a node, and a line about them to the list beside it. It returns the name
// of the file, and whether it was made for these bytes (first).
func (r *rescue) save(n *Node, remote string, off int64, data []byte, why error) (name string, first bool, err error) {
	if r.dir == "" {
		return "", false, errors.New("no rescue directory is set")
	}
	defer func() {
		if at, ok := errors.AsType[*fs.PathError](err); ok { // without the name of the file, which differs each time: pieces that are lost alike are one report
			err = fmt.Errorf("%s: %w", r.dir, at.Err)
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.files[n]
	f, err := r.open(n, remote, off, off+int64(len(data)))
	if err != nil {
		return "", false, err
	}
	name, first = f.Name(), r.files[n] != before
	shown := remote
	if strings.ContainsFunc(remote, unicode.IsControl) {
		shown = strconv.Quote(remote) // so that it is one line, without escape sequences for the reader's terminal
	}
	// The note comes first: on a disk that is nearly full the bytes would leave no room for it.
	takeBack := r.note(name, fmt.Sprintf("%s  %d bytes at offset %d of %s could not be written: %v\n", time.Now().Format(time.RFC3339), len(data), off, shown, why))
	_, err = f.WriteAt(data, off)
	if err = errors.Join(err, f.Close()); err != nil {
		takeBack()
		if first { // nothing is kept in it, and its room may do for a smaller piece
			os.Remove(name)
			os.Remove(name + noteEnding)
			if delete(r.files, n); before != nil {
				r.files[n] = before
			}
		}
		return "", false, err
	}
	if first {
		r.tell(fmt.Sprintf("%s: bytes of %s: %v", name, remote, why))
	}
	r.syncSoon(name)
	return name, first, nil
}

// open opens the rescue file of a node for the bytes from off on, before end. It makes a new one where there is none, where that holds some of
// these bytes already, and where the user has taken it away. Called with mu held.
func (r *rescue) open(n *Node, remote string, off, end int64) (*os.File, error) {
	if old := r.files[n]; old != nil && old.take(off, end) {
		f, err := os.OpenFile(old.name, os.O_WRONLY, 0)
		if !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	base := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == '*' { // CreateTemp would put its random part in place of a *
			return '_'
		}
		return c
	}, filepath.Base(remote))
	if len(base) > 100 {
		base = base[:100]
	}
	f, err := os.CreateTemp(r.dir, time.Now().Format("20060102-150405-")+"*-"+base)
	if err != nil {
		return nil, err
	}
	if r.files == nil {
		r.files = map[*Node]*rescued{}
	}
	r.files[n] = &rescued{f.Name(), []extent{{off, end}}}
	return f, nil
}

// syncSoon has a rescue file synced by syncAll, in a goroutine for all of them: were each piece synced by itself, the end of a mount with many
// small pieces would take minutes. Called with mu held.
func (r *rescue) syncSoon(name string) {
	if r.unsynced == nil {
		r.unsynced = map[string]bool{}
	}
	r.unsynced[name] = true
	if r.syncing == nil {
		r.syncing = make(chan struct{})
		go r.syncAll()
	}
}

// syncAll syncs rescue files until all are. It takes mu.
func (r *rescue) syncAll() {
	for {
		r.mu.Lock()
		batch := r.unsynced
		r.unsynced = nil
		if len(batch) == 0 {
			close(r.syncing)
			r.syncing = nil
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		for name := range batch {
			f, err := os.Open(name)
			if errors.Is(err, os.ErrNotExist) {
				continue // the user has taken it away already
			}
			if err == nil {
				err = errors.Join(r.sync(f), f.Close())
			}
			if err != nil {
				r.log.Error("rescued bytes may not be on the disk", "file", name, "err", err)
				r.mu.Lock()
				r.tell(fmt.Sprintf("%s: may not be on the disk: %v", name, err))
				r.mu.Unlock()
			}
		}
	}
}

// wait returns when all that was rescued is on the disk, or the log says what may not be.
func (r *rescue) wait() {
	r.mu.Lock()
	syncing := r.syncing
	r.mu.Unlock()
	if syncing != nil {
		<-syncing
	}
}
