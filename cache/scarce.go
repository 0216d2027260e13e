package cache

import (
	"context"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// scarceFor is how long nothing is kept open for later, and nothing is fetched ahead, after a server has refused to open
// something and told no reason: it may have no more file descriptors.
const scarceFor = 10 * time.Second

// guesses counts the requests on their way that no program waits for, and for which the server holds something open. One that still waits for
// a change does not count: that change may itself be waiting in dropGuesses. Guarded by Cache.mu.
type guesses struct {
	n     int
	none  chan struct{} // closed by the end of the last one; nil while there is none
	freed int64         // when the server last gave up something that it held open for one of them, or for a kept file (Cache.now)
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

// open is sftpconn's Open for a program. It tries again where the server refuses while it has files open that no program has open.
func (c *Cache) open(ctx context.Context, r sftpconn.OpenRequest) (f *sftpconn.File, a session.Attr, err error) {
	asked := c.now()
	try := func() (err error) {
		f, a, err = c.openPastGuesses(ctx, r)
		return err
	}
	err = c.ifNoRoom(ctx, asked, try(), try, func(err error) error { return c.whyNotOpened(ctx, r.Path(), true, err) })
	return f, a, err
}

// openPastGuesses is sftpconn's Open. It tries once more where the server refuses while it holds handles for guesses, which must never be the
// reason for an error.
func (c *Cache) openPastGuesses(ctx context.Context, r sftpconn.OpenRequest) (f *sftpconn.File, a session.Attr, err error) {
	asked := c.now()
	try := func() (err error) {
		f, a, err = c.conn.Open(ctx, r)
		return err
	}
	err = c.pastGuesses(ctx, asked, try(), try)
	return f, a, err
}

// pastGuesses takes the outcome err of an opening that was sent at asked (Cache.now). Where the server may have refused it because of handles
// that it holds for guesses, these are given back, and try is called. Some servers (SFTPGo) deny permission to a client that has as many
// files open as they allow. Mostly a denial means what it says, so after a second one guessing goes on as before.
func (c *Cache) pastGuesses(ctx context.Context, asked int64, err error, try func() error) error {
	denied := c.mayBeFull(err)
	if !denied && !failure(err) {
		return err
	}
	c.mu.Lock()
	before := c.scarce
	c.mu.Unlock()
	if c.dropGuesses(ctx, asked) {
		err = try()
	}
	if denied && c.mayBeFull(err) {
		c.mu.Lock()
		c.scarce = before
		c.mu.Unlock()
	}
	return err
}

// mayBeFull says whether the server may have denied an opening because it has as many files open as it allows. OpenSSH denies only for want
// of permission.
func (c *Cache) mayBeFull(err error) bool {
	return hasCode(err, session.StatusPermissionDenied) && !c.conn.KeepsOrder()
}

// dropGuesses pauses guessing, and gives back what the server holds open for guesses. False where it holds nothing for them, and has held
// nothing since asked (Cache.now), when the request was sent that it has refused.
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
	_ = await(ctx, under) // the caller's next request finds out whether ctx has ended
	return true
}
