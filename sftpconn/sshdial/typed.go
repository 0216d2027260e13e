package sshdial

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// maxRounds is how often a server may ask within one try of keyboard-interactive. A server that goes on asking for nothing, so that the
// user has nothing to type, would keep a login from ending.
const maxRounds = 100

// mayType reports that passwords may be given to this server.
func (l *login) mayType() bool { return l.hostKey == nil || !l.hostKey.changedAccepted() }

func (l *login) password() ssh.AuthMethod {
	if !l.cfg.yes("passwordauthentication", true) || !l.mayType() {
		return nil
	}
	kept := l.kept.getPassword()
	useKept := len(kept) > 0 && !l.passwordSent
	if !useKept && (l.passwordGiven || !l.ask.possible() || l.passwordTries >= l.cfg.number("numberofpasswordprompts", 3)) {
		return nil
	}
	if !useKept && l.shouldHandOver() {
		return nil
	}
	l.tried = append(l.tried, "password")
	return ssh.PasswordCallback(func() (string, error) {
		if useKept {
			l.passwordSent, l.keptSent = true, true
			l.typed = kept
			return string(kept), nil
		}
		if l.passwordTries++; l.passwordTries > 1 {
			l.ask.notice("Permission denied, please try again.")
		}
		answer, err := l.ask.ask(fmt.Sprintf("%s@%s's password: ", l.cfg.user(), l.cfg.promptHost()), false)
		if err != nil {
			l.failed(fmt.Errorf("no password: %w", err))
			return "", err
		}
		wipe(l.typed)
		l.typed = []byte(answer)
		return answer, nil
	})
}

func (l *login) keyboardInteractive() ssh.AuthMethod {
	if !l.cfg.yes("kbdinteractiveauthentication", true) || !l.mayType() {
		return nil
	}
	canAnswer := l.kbdTries == 0 && (l.kept.hasPassword() || l.kept.hasAnswers())
	if l.passwordGiven && l.kbdTries > 0 || !canAnswer && (!l.ask.possible() || l.kbdTries >= l.cfg.number("numberofpasswordprompts", 3)) {
		return nil
	}
	if !canAnswer && l.shouldHandOver() {
		return nil
	}
	l.kbdTries++
	l.tried = append(l.tried, "keyboard-interactive")
	l.answers = map[string][]byte{}
	first := l.kbdTries == 1
	rounds := 0
	return ssh.KeyboardInteractive(func(name, instruction string, questions []string, echos []bool) ([]string, error) {
		if rounds++; rounds > maxRounds {
			err := fmt.Errorf("the server goes on asking after %d rounds of keyboard-interactive", maxRounds)
			l.failed(err)
			return nil, err
		}
		l.patience.restart(l.step)
		if len(questions) == 0 {
			l.hear(instruction)
		}
		if l.ask.possible() {
			for _, text := range []string{name, instruction} {
				if text = strings.TrimSpace(text); text != "" {
					l.ask.notice(text)
				}
			}
		}
		answers := make([]string, len(questions))
		for i, q := range questions {
			a, err := l.answer(q, echos[i], len(questions) == 1, first)
			if err != nil {
				l.failed(fmt.Errorf("the server asks %q: %w", clip(q, 80), err))
				l.keptSent = false // it was this question that had no answer
				return nil, err
			}
			answers[i] = a
			l.answers[q] = []byte(a)
		}
		return answers, nil
	})
}

// answer finds the answer to one question: what worked before, the password
// given beforehand, or what the user types. Kept answers are tried once.
func (l *login) answer(question string, echo, alone, first bool) (string, error) {
	if first {
		if a, ok := l.kept.getAnswer(question); ok {
			l.keptSent = true
			return string(a), nil
		}
		// Where the method of passwords has succeeded, what is asked beyond it is something else, unless it says so.
		another := slices.Contains(l.partial, "password") && !asksPassword(question)
		if p := l.kept.getPassword(); len(p) > 0 && alone && !echo && !l.givenInKbd && !another {
			l.givenInKbd, l.keptSent = true, true
			defer wipe(p)
			return string(p), nil
		}
	}
	if l.passwordGiven && l.givenInKbd && asksPassword(question) {
		return "", errors.New("the password that was given is not enough, and no other is asked for")
	}
	return l.ask.ask(fmt.Sprintf("(%s@%s) %s", l.cfg.user(), l.cfg.promptHost(), question), echo)
}

// asksPassword says whether a question of keyboard-interactive is for a password.
func asksPassword(question string) bool {
	return strings.Contains(strings.ToLower(question), "password")
}
