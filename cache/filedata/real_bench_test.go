package filedata_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"sshmount/cache/filedata"
	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// BenchmarkRealServer moves 256 MiB through sftp-server on pipes, with no encryption: what SFTP and this side cost.
func BenchmarkRealServer(b *testing.B) {
	const size, piece = 256 << 20, 128 << 10
	srv := sftptest.New(b)
	conn, err := sftpconn.New(b.Context(), sftpconn.Options{Dial: srv.Dial, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	path := filepath.Join(srv.Dir(), "file")
	if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
		b.Fatal(err)
	}
	pool := filedata.NewPool(filedata.Options{})
	defer pool.Close()
	ctx := context.Background()
	run := func(b *testing.B, do func(h *filedata.Handle, off int64) error) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			f, _, err := conn.Open(ctx, sftpconn.OpenRequest{Path: func() string { return path }, Pflags: session.OpenRead | session.OpenWrite})
			if err != nil {
				b.Fatal(err)
			}
			h := pool.NewFile(nil, size).Open(f)
			for off := int64(0); off < size; off += piece {
				if err := do(h, off); err != nil {
					b.Fatal(err)
				}
			}
			if err := h.Flush(ctx, true); err != nil {
				b.Fatal(err)
			}
			h.Close()
			f.Close()
		}
	}
	b.Run("read", func(b *testing.B) {
		run(b, func(h *filedata.Handle, off int64) error {
			v, err := h.Read(ctx, off, piece)
			v.Release()
			return err
		})
	})
	p := make([]byte, piece)
	b.Run("write", func(b *testing.B) {
		run(b, func(h *filedata.Handle, off int64) error { return h.Write(ctx, p, off) })
	})
}
