package sshdial

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestWhatIsToBeKnownOfAHostKeyIsInTheLogWhereNobodyIsShownIt(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "user", "ed25519", "")
	s := startServer(t, []string{key})
	// A directory can't be written as a file.
	for mode, said := range map[string][]string{
		"accept-new": {"WARN", "could not be added to " + dir, fingerprint(t, s.hostKey)},
		"no":         {"WARN", "was not checked", fingerprint(t, s.hostKey)},
	} {
		t.Run(mode, func(t *testing.T) {
			var log strings.Builder
			o := s.options(t, key)
			o.SSHOptions = append([]string{"UserKnownHostsFile=" + dir, "StrictHostKeyChecking=" + mode}, o.SSHOptions...)
			o.Logger = logTo(&log)
			dial(t, o)
			says(t, log.String(), said...)
			u := &fakeUser{}
			log.Reset()
			o.Prompt = u
			dial(t, o)
			says(t, u.heard(), said[1:]...)
			if strings.Contains(log.String(), "WARN") {
				t.Errorf("the user, who is shown the log, is told twice:\n%s", log.String())
			}
		})
	}
}

func TestARefusalSaysWhyNothingWasAskedAndWhatToDo(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "locked", "ed25519", "open sesame")
	s := startServer(t, []string{key})
	locked := s.options(t, key)
	locked.Prompt = &fakeUser{}
	unknown := locked
	locked.SSHOptions = append([]string{"BatchMode=yes"}, locked.SSHOptions...)
	unknown.SSHOptions = append([]string{"BatchMode=yes", "UserKnownHostsFile=" + filepath.Join(dir, "none")}, unknown.SSHOptions...)
	password := passwordServer(t, &ssh.ServerConfig{PasswordCallback: checkPassword("right")})
	batch := password
	batch.Prompt = &fakeUser{}
	batch.SSHOptions = append([]string{"BatchMode=yes"}, batch.SSHOptions...)
	for name, test := range map[string]struct {
		o    Options
		said []string
	}{
		"encrypted key, BatchMode": {locked, []string{"is encrypted", "with BatchMode nothing is asked"}},
		"unknown key, BatchMode":   {unknown, []string{"not known", "with BatchMode nothing is asked", "accept-new"}},
		"password, BatchMode":      {batch, []string{"with BatchMode no password is asked for", "IdentityFile"}},
		"password, nobody":         {password, []string{"without a terminal", "password_stdin", "IdentityFile"}},
	} {
		t.Run(name, func(t *testing.T) {
			msg, _ := refused(t, test.o)
			says(t, msg, test.said...)
			if test.o.Prompt != nil && strings.Contains(msg, "terminal") {
				t.Errorf("there is a terminal:\n%s", msg)
			}
		})
	}
}
