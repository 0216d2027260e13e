package sshdial

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeUser answers questions from a list: the first entry whose question is
// contained in the prompt is used up.
type fakeUser struct {
	mu      sync.Mutex
	answers [][2]string // part of the question, answer
	asked   []string
	echoed  []bool
	notices []string
}

func (u *fakeUser) Ask(ctx context.Context, prompt string, echo bool) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, prompt)
	u.echoed = append(u.echoed, echo)
	for i, a := range u.answers {
		if strings.Contains(prompt, a[0]) {
			u.answers = slices.Delete(slices.Clone(u.answers), i, i+1)
			return a[1], nil
		}
	}
	return "", errors.New("the user has no answer to " + prompt)
}

func (u *fakeUser) Notice(line string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.notices = append(u.notices, line)
}

func (u *fakeUser) questions() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.asked)
}

func (u *fakeUser) heard() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.notices, "\n")
}

// asked expects exactly so many questions.
func askedTimes(t *testing.T, u *fakeUser, n int) {
	t.Helper()
	if q := u.questions(); len(q) != n {
		t.Errorf("%d questions were asked and not %d: %q", len(q), n, q)
	}
}
