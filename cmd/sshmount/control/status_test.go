package control

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sshmount/cache"
	"sshmount/sftpconn"
	"sshmount/sftpconn/transport"
)

func TestMetrics(t *testing.T) {
	runtimeDir(t)
	s := listen(t, "/mnt/x", &backend{status: Status{State: Connected, Line: Line{BytesRead: 42}}})
	resp, err := Connect(s.Record()).http.Get("http://mount/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v\n%s", resp.Status, err, body)
	}
	for _, want := range []string{`sshmount_connected{mountpoint="/mnt/x"} 1`, `sshmount_read_bytes_total{mountpoint="/mnt/x"} 42`, "go_goroutines"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s", want)
		}
	}
}

// render is the text of a status that is told from the rooms' own reports.
func render(t *testing.T, line sftpconn.Status, known cache.Status, now time.Time) string {
	t.Helper()
	var b strings.Builder
	s := Tell(line, known)
	s.Record = Record{Mountpoint: "/mnt/x", Source: "me@host:/d", PID: 42, Started: now.Add(-time.Hour), Log: "/log"}
	if err := s.Write(&b, now); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStatusInWords(t *testing.T) {
	now := time.Now()
	login := transport.Info{Client: "native", Remote: "192.0.2.1:22", User: "me", AuthMethod: "publickey", Cipher: "aes", HostKey: "ED25519 x"}
	tests := []struct {
		name  string
		line  sftpconn.Status
		known cache.Status
		words []string
	}{
		{"connected", sftpconn.Status{Connected: true, Since: now.Add(-90 * time.Second), Info: login, RTT: 51 * time.Millisecond}, cache.Status{},
			[]string{"/mnt/x  from me@host:/d", "  connected since ", "(1 min 30 s)", "login: me by publickey at 192.0.2.1:22, client native", "RTT 51 ms", "everything is saved", "process 42", "log /log"}},
		{"down", sftpconn.Status{Since: now.Add(-5 * time.Second), LastError: "connection refused", NextTry: now.Add(4500 * time.Millisecond), Waiting: 2}, cache.Status{},
			[]string{"NOT CONNECTED since", "connection refused; next try in 4 s", "waiting: 2 requests for the connection", "RTT unknown"}},
		{"given up", sftpconn.Status{GaveUp: true, Since: now, LastError: "no route", NextTry: now.Add(-time.Second)}, cache.Status{},
			[]string{"NOT CONNECTED", "no route; trying now", "programs get errors until it is back"}},
		{"just lost", sftpconn.Status{Since: now, LastError: "EOF"}, cache.Status{}, []string{"NOT CONNECTED", "EOF; trying now\n"}},
		{"for good", sftpconn.Status{GaveUp: true, Since: now, LastError: "EOF"}, cache.Status{}, []string{"EOF; not trying again, programs get errors\n"}},
		{"unsaved", sftpconn.Status{Connected: true, Since: now, InFlight: 1, Oldest: 1500 * time.Millisecond},
			cache.Status{UnsavedBytes: 3 << 20, UnsavedCount: 2, UnsavedFiles: []cache.UnsavedFile{{Path: "/d/a"}, {Path: "/d/\x1b[2J"}}, UnsavedOps: 1, OldestUnsaved: now.Add(-40 * time.Second),
				Errors: []string{"/d/e: quota"}, Rescued: []string{"/r/1: gone"}},
			[]string{"in flight: 1 request, the oldest for 1.5 s", "NOT SAVED YET: 2 files, 3 MiB, 1 operation, the oldest for 40 s", "    /d/a\n", `"/d/\x1b[2J"`,
				"errors since the last `sshmount sync`:\n    /d/e: quota", "kept in:\n    /r/1: gone"}},
		{"much unsaved", sftpconn.Status{Connected: true, Since: now},
			cache.Status{UnsavedBytes: 5000, UnsavedCount: 5000, UnsavedFiles: make([]cache.UnsavedFile, 100)},
			[]string{"NOT SAVED YET: 5000 files, 4.88 KiB", "    (removed, and still open)\n", "and 4990 more"}},
		{"back", sftpconn.Status{Connected: true, Since: now, Reconnects: 1, LastError: "silence"}, cache.Status{}, []string{"after 1 reconnect (the last because: silence)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := render(t, test.line, test.known, now)
			for _, w := range test.words {
				if !strings.Contains(text, w) {
					t.Errorf("no %q in:\n%s", w, text)
				}
			}
		})
	}
}

// The process goes on with the time zone in which it was started, also where the machine has moved to another.
func TestStatusInWordsHasTheTimesOfWhoAsks(t *testing.T) {
	there := time.FixedZone("there", 5*3600+45*60)
	since, started := time.Now().Add(-time.Minute), time.Now().Add(-time.Hour)
	s := Status{Record: Record{Started: started.In(there)}, State: Connected, Since: since.In(there)}
	var b strings.Builder
	if err := s.Write(&b, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"connected since " + since.Format(time.DateTime), "process 0, since " + started.Format(time.DateTime)} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}

// The word async does not always switch the mode on: in /etc/fstab it is mount(8)'s.
func TestStatusInWordsTellsWhetherAMountIsAsync(t *testing.T) {
	for async, first := range map[bool]string{false: "/mnt/x  from me@host:/d\n", true: "/mnt/x  from me@host:/d, with async\n"} {
		var b strings.Builder
		if err := (Status{Record: Record{Mountpoint: "/mnt/x", Source: "me@host:/d"}, Async: async}).Write(&b, time.Now()); err != nil || !strings.HasPrefix(b.String(), first) {
			t.Errorf("async %t: %v\n%s", async, err, b.String())
		}
	}
}

func TestStatusInJSONHasListsAndNoNulls(t *testing.T) {
	for state, s := range map[string]Status{
		Disconnected: Tell(sftpconn.Status{}, cache.Status{}),
		Dead:         StatusOf(t.Context(), Record{Mountpoint: "/mnt/gone"}),
	} {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"errors":[]`, `"rescued":[]`, `"files":[]`, `"connected":false`, `"state":"` + state + `"`} {
			if !strings.Contains(string(text), want) {
				t.Errorf("no %s in %s", want, text)
			}
		}
		if strings.Contains(string(text), "null") {
			t.Errorf("null in %s", text)
		}
	}
}

func TestSizesAndTimesInWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1023 << 10: "0.999 MiB", 5 << 30: "5 GiB", 3 << 50: "3.07e+03 TiB"} {
		if got := sizeOf(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-1: "0 s", 59 * time.Second: "59 s", time.Hour: "1 h 0 min", 49 * time.Hour: "2 d 1 h"} {
		if got := ago(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
