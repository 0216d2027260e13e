package sshdial

import (
	"testing"
)

func TestKeysLogIn(t *testing.T) {
	dir := t.TempDir()
	keys := map[string]string{
		"ed25519": keygen(t, dir, "ed", "ed25519", ""),
		"rsa":     keygen(t, dir, "rsa", "rsa", "", "-b", "2048"),
		"ecdsa":   keygen(t, dir, "ec", "ecdsa", ""),
		"pem":     keygen(t, dir, "pem", "rsa", "", "-b", "2048", "-m", "PEM"),
	}
	s := startServer(t, []string{keys["ed25519"], keys["rsa"], keys["ecdsa"], keys["pem"]})
	for kind, key := range keys {
		t.Run(kind, func(t *testing.T) {
			tr := dial(t, s.options(t, key))
			speaksSFTP(t, tr)
			if err := tr.Probe(ctxOf(t)); err != nil {
				t.Errorf("probe: %v", err)
			}
			info := tr.Info()
			if info.Client != "native" || info.AuthMethod != "publickey" || info.User != me(t) || info.Remote != s.address() {
				t.Errorf("info is %+v", info)
			}
			t.Logf("%+v", info)
		})
	}
}
