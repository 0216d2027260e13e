package sftpconn

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// settled waits until this side has no bits to give to any file.
func settled(t *testing.T, c *Conn) {
	t.Helper()
	eventually(t, "no bits are owed", func() bool {
		c.bitsMu.Lock()
		defer c.bitsMu.Unlock()
		return len(c.owings) == 0
	})
}

func hasBits(t *testing.T, path string, bits os.FileMode) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != bits {
		t.Errorf("the file was given %v, and has %v; %v", bits, info.Mode().Perm(), err)
	}
}

// The server's umask has taken bits from a file just made, and the line breaks before it has them. A program that sets
// others meanwhile is the one that counts, also where it sets those that the file has.
func TestBitsThatAProgramSetsAreNotOverriddenByThoseOfTheCreation(t *testing.T) {
	for what, bits := range map[string]uint32{"others": 0o640, "those of the umask": 0o600} {
		for _, held := range []string{"question", "answer"} {
			t.Run(what+", before the "+held, func(t *testing.T) {
				tap := sftptest.NewTap()
				srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
				c := connect(t, srv)
				path := filepath.Join(srv.Dir(), "f")
				var cut atomic.Bool
				looks := func(p *sftptest.Packet) bool { return cut.Load() && p != nil && p.Name == "LSTAT" && p.Text == path }
				tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
					switch {
					case p.Name == "FSETSTAT" && !cut.Swap(true):
						go srv.Cut()
						return sftptest.Drop()
					case held == "question" && looks(&p):
						return sftptest.Hold()
					}
					return sftptest.Pass()
				})
				tap.OnReply(func(p sftptest.Packet) sftptest.Action {
					if held == "answer" && looks(p.Request) {
						return sftptest.Hold()
					}
					return sftptest.Pass()
				})
				f, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: wr | cre | session.OpenExcl, Perm: 0o644})
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if !tap.WaitHeld(1, patience) {
					t.Fatal("the file is not looked at after the line was lost")
				}
				if err := c.Setstat(limited(t), path, modeOnly(bits), true); err != nil {
					t.Fatal(err)
				}
				tap.Release()
				settled(t, c)
				hasBits(t, path, os.FileMode(bits))
			})
		}
	}
}

// A file of which not even its maker may open it for writing is reopened, and its bits are widened for that: `cp -p` sets its bits
// when its bytes are still on their way.
func TestBitsThatAProgramSetsDuringAReopeningStay(t *testing.T) {
	for _, during := range []string{"LSTAT", "OPEN", "SETSTAT", "FSETSTAT"} {
		t.Run("behind "+during, func(t *testing.T) {
			tap := sftptest.NewTap()
			srv := sftptest.New(t, sftptest.WithTap(tap))
			c := connect(t, srv)
			path := filepath.Join(srv.Dir(), "f")
			f, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: wr | cre | session.OpenExcl, Perm: 0o400})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var once atomic.Bool
			tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if info, err := os.Stat(path); p.Name == "OPEN" && (err != nil || info.Mode().Perm()&0o200 == 0) {
					return sftptest.Answer(session.StatusPermissionDenied, "no") // as to whom is not root
				}
				return sftptest.Pass()
			})
			set := make(chan error, 1)
			tap.OnReply(func(p sftptest.Packet) sftptest.Action {
				if p.Request != nil && p.Request.Name == during && once.CompareAndSwap(false, true) {
					go func() {
						set <- c.Setstat(context.Background(), path, modeOnly(0o444), true)
						tap.Release()
					}()
					return sftptest.Hold()
				}
				return sftptest.Pass()
			})
			srv.Cut()
			if err := f.WriteAt(limited(t), []byte("x"), 0); err != nil {
				t.Fatal(err)
			}
			if err := <-set; err != nil {
				t.Fatal(err)
			}
			settled(t, c)
			sameAs(t, path, []byte("x"))
			hasBits(t, path, 0o444)
		})
	}
}

// What reads ahead may come to a file as soon as it is made, and keeps the attributes that it finds.
func TestAFileJustMadeIsReadBehindTheRequestForItsBits(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap), sftptest.Args("-u", "077"))
	c := connect(t, srv)
	c.allLinks()[0].grow(1)
	eventually(t, "a bulk channel", func() bool { return len(c.allLinks()[0].bulkChannels()) == 1 })
	path := filepath.Join(srv.Dir(), "f")
	var made atomic.Bool
	var on atomic.Int64
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name == "FSETSTAT":
			return sftptest.Hold()
		case p.Name == "LSTAT" && p.Text == path && made.Load():
			on.Store(int64(p.Channel))
		}
		return sftptest.Pass()
	})
	f, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: wr | cre | session.OpenExcl, Perm: 0o644})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	made.Store(true)
	if !tap.WaitHeld(1, patience) {
		t.Fatal("the bits that the umask has taken are not set")
	}
	if _, _, err := c.ReadSmall(limited(t), path, 100); err != nil {
		t.Error(err)
	}
	if ch := on.Load(); ch != 1 { // that of names
		t.Errorf("it is looked at on channel %d, before it has its bits", ch)
	}
	tap.Release()
	settled(t, c)
	hasBits(t, path, 0o644)
	if _, a, err := c.ReadSmall(limited(t), path, 100); err != nil || a.Mode&modePerm != 0o644 {
		t.Errorf("it is shown with the bits %o; %v", a.Mode&modePerm, err)
	}
	if ch := on.Load(); ch == 1 {
		t.Error("it is still read on the channel of names when it has its bits")
	}
}
