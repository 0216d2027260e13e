package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Backend is the mount as the socket's server needs it. Its methods may be called from several goroutines.
type Backend interface {
	Status() Status
	// Sync waits until nothing is unsaved and returns the errors not yet reported.
	Sync(ctx context.Context) error
	// Umount saves everything and ends the mount. It returns when that is done.
	Umount(ctx context.Context, wish UmountRequest) Outcome
	Kick()
}

// UmountRequest is how a mount is to be ended.
type UmountRequest struct {
	Lazy    bool          `json:"lazy"`    // detach it also while programs use it
	Timeout time.Duration `json:"timeout"` // how long unsaved data is waited for; 0 is the mount's own
}

// Outcome is how a long request ended.
type Outcome struct {
	Error    string   `json:"error,omitempty"`    // "" where all is well
	Busy     bool     `json:"busy,omitempty"`     // the mount is in use and still there
	Detached bool     `json:"detached,omitempty"` // it has no mount point, and goes on until programs have closed their files
	Unsaved  bool     `json:"unsaved,omitempty"`  // something could not be saved
	Rescued  []string `json:"rescued,omitempty"`
}

// message is one line of the answer to a long request: how it gets on and, at last, how it ended.
type message struct {
	Progress *Progress `json:"progress,omitempty"`
	Outcome  *Outcome  `json:"outcome,omitempty"`
}

// Progress is what is still to be saved.
type Progress struct {
	Files      int    `json:"files"`
	Bytes      int64  `json:"bytes"`
	Operations int    `json:"operations"`
	State      string `json:"state"`
	LastError  string `json:"last_error,omitempty"`
}

// progressInterval is how often a long request is told how it gets on.
const progressInterval = 250 * time.Millisecond

// Server answers on the socket of one mount.
type Server struct {
	backend Backend
	log     *slog.Logger
	http    *http.Server
	stop    chan struct{}  // closed to end the watch
	running sync.WaitGroup // the watch and those that serve a listener

	mu       sync.Mutex // guards what follows; a leaf
	record   Record
	listener *net.UnixListener
}

// Listen makes the socket and the record, and begins to answer.
func Listen(r Record, b Backend, log *slog.Logger) (*Server, error) {
	return listenAndWatch(r, b, log, watchInterval)
}

func listenAndWatch(r Record, b Backend, log *slog.Logger, interval time.Duration) (*Server, error) {
	s := &Server{record: r, backend: b, log: log, stop: make(chan struct{})}
	s.record.PID = os.Getpid()
	s.record.Born = born(s.record.PID)
	s.http = &http.Server{Handler: s.routes(), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	if err := s.listen(); err != nil {
		return nil, err
	}
	s.running.Go(func() { s.watch(interval) })
	return s, nil
}

// listen finds a place for the socket and the record, makes them, and serves there and nowhere else.
func (s *Server) listen() error {
	r := s.Record()
	var listener *net.UnixListener
	err := useDir(func(dir string) (err error) {
		r = r.in(dir)
		listener, err = r.listen()
		return err
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.listener
	s.record, s.listener = r, listener
	s.mu.Unlock()
	if before != nil {
		before.Close()
	}
	s.running.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) && s.serves(listener) {
			s.log.Error("the control socket is gone", "error", err)
		}
	})
	return nil
}

// serves says whether a listener is the one at the present place.
func (s *Server) serves(listener *net.UnixListener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener == listener
}

// Record is that of the mount, complete.
func (s *Server) Record() Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record
}

// Close ends the server when the answers under way are given, or ctx ends, and takes socket and record away.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	s.mu.Unlock()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	s.running.Wait()
	s.Record().remove()
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(s.status())
	})
	mux.HandleFunc("POST /sync", func(w http.ResponseWriter, r *http.Request) {
		s.long(w, r, func(ctx context.Context) Outcome {
			if err := s.backend.Sync(ctx); err != nil {
				return Outcome{Error: err.Error(), Unsaved: true}
			}
			return Outcome{}
		})
	})
	mux.HandleFunc("POST /umount", func(w http.ResponseWriter, r *http.Request) {
		var wish UmountRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&wish); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.long(w, r, func(ctx context.Context) Outcome { return s.backend.Umount(ctx, wish) })
	})
	mux.HandleFunc("POST /kick", func(w http.ResponseWriter, _ *http.Request) {
		s.backend.Kick()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry(s.status), promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	return mux
}

func (s *Server) status() Status {
	st := s.backend.Status()
	st.Record = s.Record()
	st.Socket = st.socket()
	return st
}

// long runs work and tells the asker now and then what is still to be saved.
func (s *Server) long(w http.ResponseWriter, r *http.Request, work func(context.Context) Outcome) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w).Flush
	done := make(chan Outcome, 1)
	go func() { done <- work(r.Context()) }()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case o := <-done:
			out.Encode(message{Outcome: &o})
			flush()
			return
		case <-tick.C:
			p := progressOf(s.backend.Status())
			out.Encode(message{Progress: &p})
			flush()
		}
	}
}

func progressOf(st Status) Progress {
	p := Progress{Files: st.Unsaved.Count, Bytes: st.Unsaved.Bytes, Operations: st.Unsaved.Operations, State: st.State, LastError: st.LastError}
	if st.Ending && p.nothing() {
		p.State, p.LastError = "", "" // the line is not wanted any more, and its end may be our own doing
	}
	return p
}
