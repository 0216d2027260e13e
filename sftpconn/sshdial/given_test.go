package sshdial

import (
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A password that comes from a script stands for itself: after a wrong one nobody is asked for a right one.
func TestBesideAGivenPasswordNoneIsAskedFor(t *testing.T) {
	config := &ssh.ServerConfig{
		PasswordCallback:            checkPassword("right"),
		KeyboardInteractiveCallback: interview([][]string{{"Password: "}}, []string{"right"}),
		MaxAuthTries:                20,
	}
	o := passwordServer(t, config)
	o.Password = []byte("wrong")
	u := &fakeUser{answers: [][2]string{{"", "right"}}}
	o.Prompt = u
	msg, _ := refused(t, o)
	says(t, msg, "tried keyboard-interactive, password;")
	askedTimes(t, u, 0)
}

func TestAGivenPasswordThatIsAskedForAgainInOneInterview(t *testing.T) {
	o := passwordServer(t, &ssh.ServerConfig{KeyboardInteractiveCallback: interview([][]string{{"Password: "}, {"Password again: "}}, []string{"wrong", "right"})})
	o.Password = []byte("wrong")
	u := &fakeUser{answers: [][2]string{{"", "right"}}}
	o.Prompt = u
	msg, _ := refused(t, o)
	says(t, msg, "is not enough")
	askedTimes(t, u, 0)
}

// What is not the password is still asked: the host key, and a second factor.
func TestBesideAGivenPasswordOtherThingsAreAsked(t *testing.T) {
	o := passwordServer(t, &ssh.ServerConfig{KeyboardInteractiveCallback: interview([][]string{{"Password: "}, {"Code: "}}, []string{"right", "42"})})
	o.SSHOptions = append([]string{"StrictHostKeyChecking=ask"}, o.SSHOptions...)
	o.Password = []byte("right")
	u := &fakeUser{answers: [][2]string{{"authenticity", "yes"}, {"Code", "42"}}}
	o.Prompt = u
	dial(t, o)
	askedTimes(t, u, 2)
	if strings.Contains(strings.Join(u.questions(), ""), "assword") {
		t.Errorf("asked %q", u.questions())
	}
}

// AuthenticationMethods password,keyboard-interactive: the second question is not for the password again.
func TestAPasswordThatWasTakenIsNotSentAsTheCodeThatFollows(t *testing.T) {
	for _, c := range []struct {
		rounds [][]string
		right  []string
	}{
		{[][]string{{"Verification code: "}}, []string{"42"}},
		{[][]string{{"Password: "}, {"Verification code: "}}, []string{"right", "42"}}, // PAM may ask for both
	} {
		o := passwordServer(t, &ssh.ServerConfig{PasswordCallback: func(m ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			if _, err := checkPassword("right")(m, p); err != nil {
				return nil, err
			}
			return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{KeyboardInteractiveCallback: interview(c.rounds, c.right)}}
		}})
		o.Password = []byte("right")
		u := &fakeUser{answers: [][2]string{{"code", "42"}}}
		o.Prompt = u
		dial(t, o)
		askedTimes(t, u, 1)
	}
}

func TestAServerThatNeverComesToTheEndOfItsQuestionsIsLeft(t *testing.T) {
	o := passwordServer(t, &ssh.ServerConfig{
		KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			for {
				if _, err := ask("", "wait", nil, nil); err != nil {
					return nil, err
				}
			}
		},
	})
	o.Password = []byte("right")
	msg, _ := refused(t, o)
	says(t, msg, "goes on asking")
}
