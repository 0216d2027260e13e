package cache

import (
	"context"
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
	try := func() (err error) {
		f, a, err = c.openPastGuesses(ctx, r)
		return err
	}
	err = c.ifNoRoom(ctx, asked, try(), try)
	return f, a, err
}

// openPastGuesses is sftpconn's Open, once more where the server refuses while it holds handles for guesses: they are never the
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

// pastGuesses is given the outcome of an opening that was asked for at the time given, and has it tried once more where the server may have
// refused it for the handles that it holds for guesses. Some servers (SFTPGo) say that it is not permitted to who has as many files open as
// they allow. As a rule that is true, so the guessing is paused for no more than the second try then.
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

// mayBeFull says whether a server may have denied an opening as it has as many files open as it allows. OpenSSH denies for permissions
// alone.
func (c *Cache) mayBeFull(err error) bool {
	return hasCode(err, session.StatusPermissionDenied) && !c.conn.KeepsOrder()
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
	_ = await(ctx, under) // the caller's next request finds out whether ctx has ended
	return true
}
