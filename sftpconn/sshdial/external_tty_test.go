package sshdial

import "testing"

// A terminal there would answer with an echo of what is sent, and SFTP would not pass through it.
func TestATerminalThatIsConfiguredForAHostDoesNotKeepSFTPOut(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	for _, command := range []string{"", "ssh"} {
		o := s.options(t, key)
		o.ConfigFile = config(t, "Host *", "RequestTTY force")
		o.SSHCommand, o.Compression = command, true
		tr := dial(t, o)
		speaksSFTP(t, tr)
		closeTransport(t, tr)
	}
}
