package sshdial

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// questions is the way to the user, shared by all logins of a Dialer.
type questions struct {
	prompt Prompter
	turn   sync.Mutex // held while a question is on the screen

	mu       sync.Mutex // guards detached
	detached bool
}

func (q *questions) open() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.prompt != nil && !q.detached
}

// left reports that detach was called.
func (q *questions) left() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.detached
}

// detach ends all asking. The terminal is closed when a question that is still on it
// has been answered or broken off.
func (q *questions) detach() {
	q.mu.Lock()
	before := q.detached
	q.detached = true
	q.mu.Unlock()
	if c, ok := q.prompt.(io.Closer); ok && !before {
		go func() {
			q.turn.Lock()
			defer q.turn.Unlock()
			c.Close()
		}()
	}
}

// asker asks the user during one login; the login's patience stands still meanwhile.
type asker struct {
	ctx      context.Context
	q        *questions
	batch    bool // BatchMode: never ask
	patience *patience
	log      *slog.Logger
}

func (a *asker) possible() bool { return !a.batch && a.q.open() }

// whyNot says why no question may be asked.
func (a *asker) whyNot() error {
	if a.batch {
		return errBatch
	}
	return errDetached
}

// ask shows the prompt and returns the answer. Where nobody may be asked, it fails with whyNot.
func (a *asker) ask(prompt string, echo bool) (string, error) {
	if !a.possible() {
		return "", a.whyNot()
	}
	a.patience.pause()
	defer a.patience.resume()
	a.q.turn.Lock()
	defer a.q.turn.Unlock()
	if !a.possible() {
		return "", a.whyNot()
	}
	return a.q.prompt.Ask(a.ctx, printable(prompt), echo)
}

// notice shows lines to the user, as long as there is one.
func (a *asker) notice(text string) {
	if !a.q.open() {
		return
	}
	a.q.turn.Lock()
	defer a.q.turn.Unlock()
	for line := range strings.Lines(text) {
		a.q.prompt.Notice(printable(strings.TrimRight(line, "\r\n")))
	}
}

// warn shows the user a line. Where there is no terminal (in /etc/fstab, from cron) it writes it to the log, which is
// shown, too, until the mount is made.
func (a *asker) warn(text string) {
	if !a.q.open() {
		a.log.Warn(text)
		return
	}
	a.notice("Warning: " + text)
}

// printable removes control characters from a server's text: they could change what the
// terminal shows.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
