package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sshmount/cache"
	"sshmount/cmd/sshmount/cmdline"
	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
	"sshmount/fusefs"
	"sshmount/sftpconn"
	"sshmount/sftpconn/sshdial"
)

// errInterrupted says that the user ended it.
var errInterrupted = errors.New("interrupted")

// maxPassword is the longest line that password_stdin takes, in bytes.
const maxPassword = 1024

// mount is one mount, from the login to its end.
type mount struct {
	set     *cmdline.Settings
	log     *slog.Logger
	started time.Time

	dialer *sshdial.Dialer
	conn   *sftpconn.Conn
	cache  *cache.Cache
	fuse   *fusefs.Mounted

	gone    chan struct{}    // closed when the kernel has no mount any more
	wishes  chan umountWish  // to the goroutine of serveUntilEnded, which ends the mount
	over    chan struct{}    // closed by recordEnd when the mount has ended
	outcome control.Outcome  // how it ended; written before over is closed, and read after
	control *control.Server  // nil where there could be none
	signals <-chan os.Signal // the user's wishes to end it; read by one goroutine at a time

	// Of the goroutine that ends the mount.
	hurry bool         // a signal came while it was ending: no more waiting
	tried time.Time    // when drain last ended, in which the line was tried
	later []umountWish // wishes that came while another was being fulfilled
}

// logPlace is where the log goes.
type logPlace int

const (
	logStderr logPlace = iota
	logBackground
)

// serveForeground serves a mount with -f, and returns when that has ended.
func serveForeground(set *cmdline.Settings) int {
	code, err := serve(set, logStderr, func() error { return nil })
	if err != nil {
		return report(err)
	}
	return code
}

// serve logs in, mounts, calls ready, and serves until the mount has ended. It returns
// the exit status, and an error where the mount was not made; what happens later is in
// the log and the status.
func serve(set *cmdline.Settings, where logPlace, ready func() error) (int, error) {
	heap := tune()
	defer runtime.KeepAlive(heap)
	outliveReaders()
	if err := place(set); err != nil {
		return exitCode(err), err
	}
	hushed := make(chan struct{})
	log, err := openLogger(set, where, hushed)
	if err != nil {
		return exitFailure, err
	}
	warnOfNoPlace(log, where == logStderr || set.LogFile != "", set.Cache.RescueDir != "")
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, heeded(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)...)
	defer signal.Stop(signals)

	m := &mount{set: set, log: log, started: time.Now(), gone: make(chan struct{}), wishes: make(chan umountWish),
		over: make(chan struct{})}
	interrupted, err := m.startInterruptibly(signals)
	if err != nil {
		return exitCode(err), err
	}
	served := make(chan struct{})
	defer close(served)
	m.signals = withoutEchoes(signals, interrupted, served)
	if interrupted {
		outcome, _ := m.end(umountWish{force: true})
		code := m.recordEnd(outcome)
		if where == logBackground {
			return code, errInterrupted // the first process was not told of a mount yet
		}
		return code, nil
	}
	if err := ready(); err != nil {
		outcome, _ := m.end(umountWish{force: true})
		m.recordEnd(outcome)
		return exitFailure, err
	}
	close(hushed)
	go heap.warmUp()
	return m.serveUntilEnded(), nil
}

// start logs in and mounts.
func (m *mount) start(ctx context.Context) error {
	if err := m.connect(ctx); err != nil {
		return failed(connectCode(err), err)
	}
	if err := m.attach(ctx); err != nil {
		return errors.Join(err, m.close())
	}
	m.dialer.Detach() // from now on there is nobody to ask
	m.readAhead()
	go func() {
		m.fuse.Wait()
		close(m.gone)
	}()
	record := control.Record{Mountpoint: m.set.Mountpoint, Source: m.set.Source, Started: m.started, Version: version}
	if m.set.LogFile != "" && !m.set.Foreground {
		record.Log = m.set.LogFile
	}
	if fd, passed := fusefs.PassedDescriptor(m.set.Mountpoint); passed {
		// Many processes may have a descriptor of that number.
		record.Mountpoint = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
	}
	var err error
	if m.control, err = control.Listen(record, m, m.log); err != nil {
		m.log.Warn("'sshmount status', 'sync' and 'umount' will not find this mount", "error", err)
	}
	m.log.Info("mounted", "source", m.set.Source, "mountpoint", m.set.Mountpoint, "version", version)
	return nil
}

// connect makes the line and logs in.
func (m *mount) connect(ctx context.Context) error {
	o := m.set.Dial
	o.Logger = m.log
	if m.set.Passive {
		o.Passive = stdio{os.Stdin, os.Stdout}
	}
	if m.set.PasswordFromStdin {
		password, err := readPassword(os.Stdin)
		if err != nil {
			return failed(exitUsage, err)
		}
		o.Password = password
		defer clear(password)
	}
	// Without a terminal there is nobody to ask, which only matters if there is a question.
	if prompt, err := sshdial.Terminal(); err == nil && !m.set.Passive {
		o.Prompt = prompt
	}
	var err error
	if m.dialer, err = sshdial.New(ctx, o); err != nil {
		return err
	}
	c := m.set.Conn
	c.Dial, c.Elsewhere, c.Logger = m.dialer.Dial, m.dialer.Elsewhere, m.log
	s := m.dialer.Settings()
	if s.ServerAliveInterval > 0 {
		c.AliveInterval, c.AliveCountMax = s.ServerAliveInterval, s.ServerAliveCountMax
	}
	if s.ConnectTimeoutSet {
		c.GreetTimeout = s.ConnectTimeout
	}
	c.NoReconnect = c.NoReconnect || m.set.Passive
	c.Trial = true
	m.conn, err = firstConnection(ctx, c, s.ConnectTimeout, m.set.Source)
	return err
}

// attach looks at the remote directory and makes the mount.
func (m *mount) attach(ctx context.Context) error {
	ids, filled, err := idMap(ctx, m.set, m.conn, m.log)
	if err != nil {
		return failed(exitUsage, err)
	}
	o := m.set.Mount
	o.IDMap, o.Logger = ids, m.log
	var remote, taken error
	m.fuse, err = fusefs.Mount(func(n cache.Notifier) (*cache.Cache, error) {
		c := m.set.Cache
		c.Conn, c.Notify, c.Logger = m.conn, n, m.log
		m.cache, remote = cache.New(ctx, c)
		if err := filled(func() (cache.Attr, error) {
			if remote != nil {
				return cache.Attr{}, remote
			}
			a, _, err := m.cache.Getattr(ctx, m.cache.Root(), nil)
			return a, err
		}); remote == nil {
			remote = err
		}
		if remote == nil {
			taken = mountpoint.Free(m.set.Mountpoint)
		}
		return m.cache, errors.Join(remote, taken)
	}, o)
	switch {
	case taken != nil:
		return taken // the login took its time
	case remote != nil:
		return failed(exitRemoteDir, fmt.Errorf("%s: %w%s", m.set.Source, remote, portAdvice(m.set.Cache.Root)))
	case err != nil:
		if taken := mountpoint.Free(m.set.Mountpoint); taken != nil {
			return taken // by somebody who was quicker by a moment
		}
		return failed(exitFuse, fmt.Errorf("cannot mount on %s: %w", m.set.Mountpoint, err))
	}
	m.conn.Settle()
	return nil
}

// portAdvice is what to add where a remote directory is missing whose path begins like the PORT of HOST:PORT/DIR, as in a URL; else "".
func portAdvice(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	if n, err := strconv.ParseUint(strings.TrimSuffix(first, ":"), 10, 16); err == nil {
		return fmt.Sprintf("; if %d is the port, write -p %d and only the directory behind the colon", n, n)
	}
	return ""
}

// close closes what start has made so far. Nothing was written yet, so nothing is lost.
func (m *mount) close() error {
	if m.cache != nil {
		m.cache.Close()
	}
	return m.conn.Close()
}

// openLogger makes the log. In the background it is a file; until the process
// leaves the terminal, what goes wrong is said there too.
func openLogger(set *cmdline.Settings, where logPlace, hushed <-chan struct{}) (*slog.Logger, error) {
	level := slog.LevelInfo
	if set.Debug {
		level = slog.LevelDebug
	}
	if where == logStderr {
		return slog.New(newLogger(os.Stderr, level)), nil
	}
	terminal := &spoken{w: os.Stderr, hushed: hushed}
	var file *logFile
	if set.LogFile == "" {
		if file = openLogOf(set.Mountpoint); file == nil {
			return slog.New(terminal), nil
		}
		set.LogFile = file.name
	} else {
		var err error
		if file, err = openLog(set.LogFile); err != nil {
			return nil, fmt.Errorf("log_file: %w; choose a file that you can write", err)
		}
	}
	// Standard error leads nowhere in the background.
	if err := file.takeCrashes(); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return slog.New(slog.NewMultiHandler(newLogger(file, level), terminal)), nil
}

// readPassword reads one line. It may read more of r, and drops that.
func readPassword(r io.Reader) ([]byte, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(r, maxPassword), maxPassword).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("password_stdin: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case line == "":
		return nil, errors.New("password_stdin: there was no line with a password on standard input")
	case len(line) >= maxPassword-1:
		return nil, fmt.Errorf("password_stdin: the password is longer than %d bytes", maxPassword-2)
	}
	return []byte(line), nil
}

// stdio is the stream of passive: SFTP on standard input and output.
type stdio struct{ in, out *os.File }

func (s stdio) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s stdio) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s stdio) Close() error                { return errors.Join(s.in.Close(), s.out.Close()) }
