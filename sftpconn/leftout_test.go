package sftpconn

import (
	"log/slog"
	"strings"
	"testing"
)

// A line for each answer would push all else out of the log.
func TestBadNamesInManyAnswersAreToldInOneLine(t *testing.T) {
	var log logText
	const answers = 50
	c, srv, _ := listingServer(t, func(n int) []byte {
		if n <= answers {
			return names("good", "a/b", "..", "")
		}
		return names()
	}, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	good := 0
	err := c.List(limited(t), srv.Dir(), func(list []Entry, _ bool) error {
		good += len(list)
		return nil
	})
	if err != nil || good != answers {
		t.Errorf("%d good names, %v", good, err)
	}
	if lines := strings.Count(log.String(), "no file can have here"); lines != 1 || !log.has("names=100") {
		t.Errorf("%d lines tell of them: %s", lines, &log)
	}
}
