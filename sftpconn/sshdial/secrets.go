package sshdial

import (
	"bytes"
	"sync"

	"golang.org/x/crypto/ssh"
)

// secrets are what has worked at earlier logins to one hop, so that the next login
// need not ask anybody.
type secrets struct {
	mu       sync.Mutex            // guards what follows
	password []byte                // given beforehand, or typed and taken by the server
	answers  map[string][]byte     // keyboard-interactive: question → answer
	signers  map[string]ssh.Signer // file of an encrypted key → the key, decrypted
	worked   string                // the public key of the last login; no secret
	refused  bool                  // the server has refused what was kept, so that it was forgotten
	code     bool                  // and that was the answer to more than the question for a password
}

func (s *secrets) getPassword() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.password)
}

func (s *secrets) hasPassword() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.password) > 0
}

func (s *secrets) getAnswer(question string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.answers[question]
	return bytes.Clone(a), ok
}

func (s *secrets) hasAnswers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.answers) > 0
}

func (s *secrets) getSigner(file string) ssh.Signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signers[file]
}

func (s *secrets) getWorked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worked
}

func (s *secrets) setWorked(blob string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worked = blob
}

// keep notes what a login used, after it worked. Nil values change nothing.
func (s *secrets) keep(password []byte, answers map[string][]byte, signers map[string]ssh.Signer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(password) > 0 || len(answers) > 0 {
		s.refused = false
	}
	if len(password) > 0 {
		wipe(s.password)
		s.password = bytes.Clone(password)
	}
	for q, a := range answers {
		if s.answers == nil {
			s.answers = map[string][]byte{}
		}
		s.answers[q] = bytes.Clone(a)
	}
	for f, k := range signers {
		if s.signers == nil {
			s.signers = map[string]ssh.Signer{}
		}
		s.signers[f] = k
	}
}

// forget wipes what can be wiped. Copies that the SSH library has made are left to the
// garbage collector; they can't be reached.
func (s *secrets) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetWords()
	s.signers = nil
}

// forgetWords is called with mu held.
func (s *secrets) forgetWords() {
	wipe(s.password)
	for _, a := range s.answers {
		wipe(a)
	}
	s.password, s.answers = nil, nil
}

// refuse forgets what the server has refused: sending it again and again could lock the account.
func (s *secrets) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = s.code && s.refused // nothing is left to be looked at where it was refused before
	for q := range s.answers {
		s.code = s.code || !asksPassword(q)
	}
	s.forgetWords()
	s.refused = true
}

// wasRefused says whether what was kept was refused, and nothing else was given since.
func (s *secrets) wasRefused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// whyRefused is what the user is told where wasRefused.
func (s *secrets) whyRefused() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code {
		return refusedCode
	}
	return refusedKept
}

func wipe(b []byte) { clear(b) }
