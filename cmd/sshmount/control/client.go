package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// ErrGone says that the process of a mount has ended before it answered.
var ErrGone = errors.New("the process of the mount has gone")

// firstAnswer is how long a process may take to say anything at all. A request that lasts longer is no matter: its progress is told
// every progressInterval.
const firstAnswer = 20 * time.Second

// Client asks the process of one mount.
type Client struct {
	record Record
	http   *http.Client
}

// Connect makes a client of the mount of a record. Nothing is sent yet.
func Connect(r Record) *Client {
	return &Client{r, &http.Client{Transport: &http.Transport{
		DisableKeepAlives:     true,
		ResponseHeaderTimeout: firstAnswer,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", r.socket())
		},
	}}}
}

// Status asks the process for it; StatusOf has one also where there is no answer.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.ask(ctx, http.MethodGet, "status", nil, func(body io.Reader) error {
		return json.NewDecoder(body).Decode(&s)
	})
	return s, err
}

// StatusOf asks the process of a record, and says what there is to say where there is no answer.
func StatusOf(ctx context.Context, r Record) Status {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := Connect(r).Status(ctx)
	if err == nil {
		return s
	}
	s = Status{Record: r, State: Silent, LastError: err.Error(), Since: r.Started,
		Unsaved: Unsaved{Files: []string{}}, Errors: []string{}, Rescued: []string{}} // lists in the JSON, also here
	if !r.Alive() {
		s.State, s.LastError = Dead, fmt.Sprintf("process %d is gone", r.PID)
	}
	return s
}

// Sync waits until everything is saved.
func (c *Client) Sync(ctx context.Context, tell func(Progress)) (Outcome, error) {
	return c.long(ctx, "sync", nil, tell)
}

// Umount ends the mount.
func (c *Client) Umount(ctx context.Context, wish UmountRequest, tell func(Progress)) (Outcome, error) {
	return c.long(ctx, "umount", wish, tell)
}

// Kick has the line tried at once.
func (c *Client) Kick(ctx context.Context) error {
	return c.ask(ctx, http.MethodPost, "kick", nil, func(io.Reader) error { return nil })
}

func (c *Client) long(ctx context.Context, what string, body any, tell func(Progress)) (Outcome, error) {
	var outcome *Outcome
	err := c.ask(ctx, http.MethodPost, what, body, func(answer io.Reader) error {
		lines := json.NewDecoder(answer)
		for outcome == nil {
			var m message
			if err := lines.Decode(&m); err != nil {
				return fmt.Errorf("%w (%v)", ErrGone, err)
			}
			outcome = m.Outcome
			if m.Progress != nil {
				tell(*m.Progress)
			}
		}
		return nil
	})
	if err != nil {
		return Outcome{}, err
	}
	return *outcome, nil
}

func (c *Client) ask(ctx context.Context, method, what string, body any, read func(io.Reader) error) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://mount/"+what, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.noAnswer(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s: the process of the mount answers %s", what, resp.Status)
	}
	return read(resp.Body)
}

// noAnswer says in plain words that the process gave none.
func (c *Client) noAnswer(err error) error {
	request, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	err = request.Err
	if request.Timeout() {
		err = errors.New("nothing came in time")
	}
	if c.record.stopped() {
		err = fmt.Errorf("%w; the process is stopped: let it go on with kill -CONT %d", err, c.record.PID)
	}
	return err
}
