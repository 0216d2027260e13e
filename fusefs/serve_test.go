package fusefs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sshmount/cache"
	"sshmount/fusefs"
	"sshmount/sftpconn"
	"sshmount/sftpconn/sftptest"
)

// A process that uses a mount must not be the one that serves it, so each test
// mount is served by a child: this test binary again, which runs TestServe alone.

// serveVar is the environment variable that tells the child what to serve.
const serveVar = "FUSEFS_TEST_SERVE"

// mark begins the lines of the child that are answers.
const mark = "\x01"

// setup is what the child is to serve. Ready-made parts of the options are filled in there.
type setup struct {
	Remote string // directory that the server works in
	Cache  cache.Options
	Mount  fusefs.Options
	Args   []string // of sftp-server
	IDMap  string   // "", "user" (the remote user 1234:1234 is 0:0 here), "name", "mute" (as name, but nobody tells the names of 4242)
	Helper bool     // mount as one who may not, by way of fusermount3
}

// answer is what the child says to each command.
type answer struct {
	Err     string
	Status  cache.Status
	Counts  map[string]int
	Waiting int
}

// TestServe is the child. It does one command for each line of its input:
//
//	status, waiting, counts, reset, cut, freeze, thaw, umount, unmount
//
// of which the last insists: lazily, where the mount is in use. It is done at the
// end of the input as well.
func TestServe(t *testing.T) {
	encoded := os.Getenv(serveVar)
	if encoded == "" {
		return // nobody has asked for a mount
	}
	var s setup
	if err := json.Unmarshal([]byte(encoded), &s); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	tap := sftptest.NewTap()
	server := sftptest.New(t, sftptest.InDir(s.Remote), sftptest.WithTap(tap), sftptest.Args(s.Args...))
	conn, err := sftpconn.New(t.Context(), sftpconn.Options{Dial: server.Dial, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if s.Helper {
		mayNotMount(t)
	}
	var c *cache.Cache
	s.Cache.Conn, s.Cache.Logger, s.Mount.Logger = conn, logger, logger
	if s.IDMap == "user" {
		s.Mount.IDMap = fusefs.NewUserMap(1234, 1234, 0, 0)
	}
	if s.IDMap == "name" || s.IDMap == "mute" {
		s.Mount.IDMap = fusefs.NewNameMap(func(ctx context.Context, uids, gids []uint32) (users, groups []string, err error) {
			if s.IDMap == "mute" && slices.Contains(uids, 4242) {
				<-ctx.Done()
				return nil, nil, context.Cause(ctx)
			}
			return conn.UserGroupNames(ctx, uids, gids)
		})
	}
	m, err := fusefs.Mount(func(n cache.Notifier) (*cache.Cache, error) {
		s.Cache.Notify = n
		var err error
		c, err = cache.New(t.Context(), s.Cache)
		return c, err
	}, s.Mount)
	reply(answer{Err: text(err)})
	if err != nil {
		if c != nil {
			c.Close()
		}
		return
	}

	commands := make(chan string)
	go func() {
		defer close(commands)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			commands <- in.Text()
		}
	}()
	gone := make(chan struct{})
	go func() { m.Wait(); close(gone) }()
	for serving := true; serving; {
		select {
		case <-gone:
			serving = false
		case command, ok := <-commands:
			if !ok {
				command = "unmount"
			}
			a := answer{}
			switch command {
			case "status":
				a.Status = c.Status()
			case "waiting":
				a.Waiting = m.Waiting()
			case "counts":
				a.Counts = tap.Requests()
			case "reset":
				tap.Reset()
			case "cut":
				server.Cut()
			case "freeze":
				server.Freeze()
			case "thaw":
				server.Thaw()
			case "umount":
				a.Err = text(m.Unmount(false))
			case "unmount":
				err := m.Unmount(false)
				if err != nil {
					err = fmt.Errorf("%w; lazily: %w", err, m.Unmount(true))
				}
				a.Err = text(err)
			default:
				a.Err = "unknown command " + command
			}
			reply(a)
			if !ok {
				select {
				case <-gone:
				case <-time.After(deadline / 2):
					leftElsewhere(t, s.Mount.Mountpoint)
				}
				serving = false
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Sync(ctx); err != nil {
		t.Logf("at the end: %v", err)
	}
	c.Close()
	for range commands { // until the parent has no more to say
	}
}

// leftElsewhere ends a child whose mount is gone from here and yet alive. Whoever makes a mount namespace (ip netns,
// unshare, a container) while a mount is there gets a copy of it, and holds it until that namespace ends.
func leftElsewhere(t *testing.T, dir string) {
	t.Helper()
	if isMounted(t, dir) {
		t.Fatalf("%s could not be unmounted", dir)
	}
	fmt.Println("the mount is alive in another namespace of this machine, and is left to it")
	os.Exit(0)
}

// mayNotMount takes the right to mount from this thread, and keeps the test on it.
func mayNotMount(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	check(t, unix.Capget(&header, &caps[0]))
	caps[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
	check(t, unix.Capset(&header, &caps[0]))
}

func reply(a answer) {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	fmt.Printf("\n%s%s\n", mark, b)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}
