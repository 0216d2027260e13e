package control

import (
	"time"

	"sshmount/cache"
	"sshmount/sftpconn"
)

// The states of a mount's line.
const (
	Connected    = "connected"
	Disconnected = "disconnected" // requests wait
	Unreachable  = "unreachable"  // for so long that requests fail
	Dead         = "dead"         // the process that served the mount is gone
	Silent       = "silent"       // the process is there and does not answer
)

// Status is what is told of a mount. Durations are in seconds, rates in bytes a second.
type Status struct {
	Record
	Socket     string    `json:"socket,omitempty"` // of a mount that answers
	State      string    `json:"state"`
	Connected  bool      `json:"connected"`
	Since      time.Time `json:"since"`
	LastError  string    `json:"last_error,omitempty"`
	NextTry    time.Time `json:"next_try,omitzero"`
	Reconnects int       `json:"reconnects"`
	Async      bool      `json:"async"`
	Detached   bool      `json:"detached"` // it has no mount point, and ends with the last open file
	Ending     bool      `json:"ending"`   // it is unmounted, and ends when everything is saved
	Login      Login     `json:"login"`
	Line       Line      `json:"line"`
	Unsaved    Unsaved   `json:"unsaved"`
	Errors     []string  `json:"errors"`  // since the last sync; of bytes not delivered also where a close or fsync was told
	Rescued    []string  `json:"rescued"` // files that hold what could not be delivered, and why
	Cache      Cache     `json:"cache"`
	Process    Process   `json:"process"`
}

// ForGood says that the line is lost and is not tried again: with no_reconnect, or as a stream that can't be opened again.
func (s Status) ForGood() bool { return s.State == Unreachable && s.NextTry.IsZero() }

// Login says who is logged in where, and how.
type Login struct {
	Client  string `json:"client"`
	Remote  string `json:"remote"`
	User    string `json:"user"`
	Method  string `json:"method"`
	HostKey string `json:"host_key"`
	Cipher  string `json:"cipher"`
}

// Line says how the connection does.
type Line struct {
	Connections  int     `json:"connections"`
	Channels     int     `json:"channels"`
	RTT          float64 `json:"rtt"`
	ReadRate     float64 `json:"read_rate"`
	WriteRate    float64 `json:"write_rate"`
	BytesRead    uint64  `json:"bytes_read"`
	BytesWritten uint64  `json:"bytes_written"`
	Requests     uint64  `json:"requests"`
	InFlight     int     `json:"in_flight"`
	Oldest       float64 `json:"oldest_request"` // how long the oldest unanswered request has waited
	Waiting      int     `json:"waiting"`        // requests that wait for a connection
}

// Unsaved is what the server has not acknowledged.
type Unsaved struct {
	Bytes      int64     `json:"bytes"`
	Count      int       `json:"file_count"`
	Files      []string  `json:"files"` // paths on the server of the first 100
	Operations int       `json:"operations"`
	Oldest     time.Time `json:"oldest,omitzero"`
}

// None says that everything is saved.
func (u Unsaved) None() bool { return u.Bytes == 0 && u.Count == 0 && u.Operations == 0 }

// Cache says what is known here.
type Cache struct {
	Names        int    `json:"names"`
	OpenFiles    int    `json:"open_files"`
	CleanBytes   int64  `json:"clean_bytes"`
	PrefetchHits uint64 `json:"prefetch_hits"`
	PrefetchMiss uint64 `json:"prefetch_miss"`
}

// Process says what the background process uses.
type Process struct {
	HeapBytes  uint64 `json:"heap_bytes"`
	Goroutines int    `json:"goroutines"`
}

// Tell puts the rooms' own reports together; the Server adds the record.
func Tell(line sftpconn.Status, known cache.Status) Status {
	s := Status{
		State:      Connected,
		Connected:  line.Connected,
		Since:      line.Since,
		LastError:  line.LastError,
		NextTry:    line.NextTry,
		Reconnects: line.Reconnects,
		Login: Login{Client: line.Info.Client, Remote: line.Info.Remote, User: line.Info.User,
			Method: line.Info.AuthMethod, HostKey: line.Info.HostKey, Cipher: line.Info.Cipher},
		Line: Line{Connections: line.Connections, Channels: line.Channels, RTT: line.RTT.Seconds(),
			ReadRate: line.ReadRate, WriteRate: line.WriteRate, BytesRead: line.BytesRead, BytesWritten: line.BytesWritten,
			Requests: line.Requests, InFlight: line.InFlight, Oldest: line.Oldest.Seconds(), Waiting: line.Waiting},
		Unsaved: Unsaved{Bytes: known.UnsavedBytes, Count: known.UnsavedCount, Files: paths(known.UnsavedFiles), Operations: known.UnsavedOps,
			Oldest: known.OldestUnsaved},
		Errors:  orEmpty(known.Errors),
		Rescued: orEmpty(known.Rescued),
		Cache: Cache{Names: known.Names, OpenFiles: known.OpenFiles, CleanBytes: known.CleanBytes,
			PrefetchHits: known.PrefetchHits, PrefetchMiss: known.PrefetchMiss},
	}
	switch {
	case line.Connected:
	case line.GaveUp:
		s.State = Unreachable
	default:
		s.State = Disconnected
	}
	return s
}

// orEmpty keeps null out of the JSON: a list of nothing is a list.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func paths(files []cache.UnsavedFile) []string {
	list := []string{}
	for _, f := range files {
		list = append(list, f.Path)
	}
	return list
}
