package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"unicode"

	"sshmount/cmd/sshmount/control"
)

// maxLog is the size in bytes at which a log is put aside; one older piece is kept.
const maxLog = 2 << 20

// logName makes a file's name of a mount point: readable, and short enough.
func logName(path string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.", r) {
			return r
		}
		return '_'
	}, strings.Trim(path, "/"))
	if len(name) > 200 {
		name = name[len(name)-200:]
	}
	return name + ".log"
}

// logFile is a log whose size is bounded: full, it becomes NAME.old, and a new one begins.
type logFile struct {
	name string

	mu      sync.Mutex // guards what follows
	file    *os.File
	size    int64
	crashes bool // takeCrashes was called
}

// openLog opens a log to go on where it ended.
func openLog(name string) (*logFile, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	l := &logFile{name: name}
	return l, l.open()
}

// open opens the file by its name. With mu held, or before anybody else has l.
func (l *logFile) open() error {
	f, err := os.OpenFile(l.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

// takeCrashes has the runtime write to the log what it says when the process crashes.
func (l *logFile) takeCrashes() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crashes = true
	return debug.SetCrashOutput(l.file, debug.CrashOptions{})
}

// Write appends p as a whole.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+int64(len(p)) > maxLog {
		full := l.file
		if err := os.Rename(l.name, l.name+".old"); err == nil && l.open() == nil {
			full.Close()
			if l.crashes {
				_ = debug.SetCrashOutput(l.file, debug.CrashOptions{}) // it keeps the old one otherwise
			}
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

// newLogger writes records from level on, one a line.
func newLogger(w io.Writer, level slog.Level) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
}

// spoken is a handler that tells a user at a terminal what went wrong, as a
// sentence and not as a record, until it is hushed when the process goes into
// the background.
type spoken struct {
	w      io.Writer
	hushed <-chan struct{}
	attrs  []slog.Attr
}

func (s *spoken) Enabled(_ context.Context, level slog.Level) bool {
	select {
	case <-s.hushed:
		return false
	default:
		return level >= slog.LevelWarn
	}
}

func (s *spoken) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	level := "error"
	if r.Level < slog.LevelError {
		level = "warning"
	}
	fmt.Fprintf(&b, "sshmount: %s: %s", level, r.Message)
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, "; %s: %v", a.Key, a.Value)
		return true
	}
	for _, a := range s.attrs {
		add(a)
	}
	r.Attrs(add)
	_, err := fmt.Fprintln(s.w, control.Plain(b.String()))
	return err
}

func (s *spoken) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &spoken{s.w, s.hushed, append(append([]slog.Attr(nil), s.attrs...), attrs...)}
}

func (s *spoken) WithGroup(string) slog.Handler { return s }
