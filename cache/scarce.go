package cache

import (
	"context"
	"errors"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// scarceFor is how long nothing is kept open for later and nothing is fetched ahead after a server has refused to open
// something for a reason of which it did not tell: it may have no more file descriptors.
const scarceFor = 10 * time.Second

// guesses counts the requests on their way that no program waits for and that hold something open. Those that wait for a change
// are not among them: the change may be waiting in dropGuesses. Guarded by Cache.mu.
type guesses struct {
	n     int
	none  chan struct{} // closed by the end of the last; nil while there is none
	freed int64         // when one of them, or a file kept open for later, last gave back what it held (Cache.now)
}

func (g *guesses) begin() {
	if g.n++; g.n == 1 {
		g.none = make(chan struct{})
	}
}

func (g *guesses) end(now int64) {
	g.freed = now
	if g.n--; g.n == 0 {
		close(g.none)
		g.none = nil
	}
}

// mayGuess says whether something may be asked for that no program waits for. Called with mu held.
func (c *Cache) mayGuess() bool {
	return !c.o.NoPrefetch && c.timeout > 0 && !c.closed && c.now() >= c.scarce
}

// pauseGuesses stops all guessing for scarceFor: the server may have no handles left for it. Called with mu held.
func (c *Cache) pauseGuesses() { c.scarce = c.now() + int64(scarceFor) }

// open is sftpconn's Open for a program, again where the server refuses while it holds handles that no program has.
func (c *Cache) open(ctx context.Context, r sftpconn.OpenRequest) (f *sftpconn.File, a session.Attr, err error) {
	asked := c.now()
	f, a, err = c.openPastGuesses(ctx, r)
	err = c.ifNoRoom(ctx, asked, err, func() (err error) {
		f, a, err = c.openPastGuesses(ctx, r)
		return err
	})
	return f, a, err
}

// openPastGuesses is sftpconn's Open, once more where the server refuses while it holds handles for guesses: they are never the
// reason for an error.
func (c *Cache) openPastGuesses(ctx context.Context, r sftpconn.OpenRequest) (*sftpconn.File, session.Attr, error) {
	asked := c.now()
	f, a, err := c.conn.Open(ctx, r)
	if failure(err) && c.dropGuesses(ctx, asked) {
		return c.conn.Open(ctx, r)
	}
	return c.ifDenied(ctx, r, asked, f, a, err)
}

// ifDenied takes the outcome of an opening that was asked for at the time given, and tries it again where the server says that it is not
// permitted while it holds handles for guesses: some servers (SFTPGo) say so to who has as many files open as they allow. As a rule it
// is true, so the guessing is paused for no more than the second try.
func (c *Cache) ifDenied(
	ctx context.Context, r sftpconn.OpenRequest, asked int64, f *sftpconn.File, a session.Attr, err error,
) (*sftpconn.File, session.Attr, error) {
	if !c.mayBeFull(err) {
		return f, a, err
	}
	c.mu.Lock()
	before := c.scarce
	c.mu.Unlock()
	again := c.dropGuesses(ctx, asked)
	if again {
		f, a, err = c.conn.Open(ctx, r)
	}
	if c.mayBeFull(err) {
		c.mu.Lock()
		c.scarce = before
		c.mu.Unlock()
	}
	return f, a, err
}

// mayBeFull says whether a server may have denied an opening as it has as many files open as it allows. OpenSSH denies for permissions
// alone.
func (c *Cache) mayBeFull(err error) bool {
	var se *session.StatusError
	return errors.As(err, &se) && se.Code == session.StatusPermissionDenied && !c.conn.KeepsOrder()
}

// dropGuesses gives back what the server holds open for guesses; false where it holds nothing, and has held nothing since the
// request that it refuses was asked.
func (c *Cache) dropGuesses(ctx context.Context, asked int64) bool {
	c.mu.Lock()
	c.pauseGuesses()
	some := len(c.kept) > 0 || c.guess.freed >= asked
	for n := range c.kept {
		c.dropKept(n)
	}
	under := c.guess.none
	c.mu.Unlock()
	if under == nil {
		return some
	}
	ctx, stop := c.bounded(ctx)
	defer stop()
	select {
	case <-under:
	case <-ctx.Done():
	}
	return true
}
