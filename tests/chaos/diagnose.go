package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// blemish finds what no work would notice: races, panics, and rescued writes.
func (r *Rig) blemish() error {
	text, err := os.ReadFile(r.output.Name())
	if err != nil {
		return err
	}
	for _, word := range []string{"WARNING: DATA RACE", "panic:", "fatal error:"} {
		if i := bytes.Index(text, []byte(word)); i >= 0 {
			return fmt.Errorf("in the log of the mount:\n%s", text[i:min(len(text), i+4000)])
		}
	}
	rescued, _ := filepath.Glob(filepath.Join(r.cfg.Dir, "state", "sshmount", "rescue", "*"))
	if len(rescued) > 0 {
		for _, f := range rescued {
			os.RemoveAll(f)
		}
		return fmt.Errorf("writes could not be delivered and were put into %s", strings.Join(rescued, ", "))
	}
	return nil
}

func (r *Rig) tail() string {
	text, _ := os.ReadFile(r.output.Name())
	return string(text[max(0, len(text)-3000):])
}

// diagnose asks sshmount's control socket what it is doing; "" where there is none.
func (r *Rig) diagnose() string {
	sockets, _ := filepath.Glob(filepath.Join(r.runDir(), "sshmount", "*.sock"))
	var b strings.Builder
	for _, s := range sockets {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", s)
			}}}
		for _, path := range []string{"status", "debug/pprof/goroutine?debug=2"} {
			resp, err := client.Get("http://mount/" + path)
			if err != nil {
				continue
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if len(text) > 8000 { // too long for an error, and kept in full beside the log
				file := filepath.Join(r.cfg.Dir, fmt.Sprintf("goroutines%d.txt", r.mounts))
				if os.WriteFile(file, text, 0o600) == nil {
					text = []byte("goroutines are in " + file)
				}
			}
			fmt.Fprintf(&b, "%s: %s\n", path, text)
		}
	}
	return b.String()
}
