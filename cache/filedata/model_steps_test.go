package filedata

import (
	"bytes"
	"context"
	"errors"

	"pgregory.net/rapid"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

func (m *modelled) write(t *rapid.T) {
	b, off := drawBytes(t), m.offset(t)
	if err := m.handle(t).Write(m.ctx, b, off); err != nil {
		t.Fatalf("write: %v", err)
	}
	m.put(b, off)
}

func (m *modelled) writeOn(t *rapid.T) {
	h, off := m.handle(t), m.offset(t)
	for range rapid.IntRange(1, 30).Draw(t, "writes") {
		b := drawBytes(t)[:1]
		b = bytes.Repeat(b, rapid.SampledFrom([]int{10, 512, 4096}).Draw(t, "each"))
		if err := h.Write(m.ctx, b, off); err != nil {
			t.Fatalf("write: %v", err)
		}
		m.put(b, off)
		off += int64(len(b))
	}
}

func (m *modelled) append(t *rapid.T) {
	b := drawBytes(t)
	off, err := m.handle(t).Append(m.ctx, b)
	if err != nil || off != int64(len(m.want)) {
		t.Fatalf("append: at %d, %v; the file has %d bytes", off, err, len(m.want))
	}
	m.put(b, off)
}

func (m *modelled) read(t *rapid.T) {
	m.checkRead(t, m.handle(t), m.offset(t), rapid.IntRange(1, 40_000).Draw(t, "n"))
}

func (m *modelled) readOn(t *rapid.T) {
	h, off, n := m.handle(t), m.offset(t), rapid.SampledFrom([]int{512, 4096, 9999}).Draw(t, "n")
	for range rapid.IntRange(1, 10).Draw(t, "reads") {
		m.checkRead(t, h, off, n)
		off += int64(n)
	}
}

func (m *modelled) truncate(t *rapid.T) {
	n := m.offset(t)
	err := m.f.Truncate(m.ctx, n, func(ctx context.Context) error {
		return m.s.Setstat(context.WithoutCancel(ctx), sftpconn.Attr{Flags: session.HasSize, Size: uint64(n)})
	})
	if err != nil {
		if m.breaks.Store(0); len(m.want) <= int(n) {
			return // nothing has changed
		}
		if err := m.f.Truncate(m.ctx, n, func(ctx context.Context) error {
			return m.s.Setstat(ctx, sftpconn.Attr{Flags: session.HasSize, Size: uint64(n)})
		}); err != nil {
			t.Fatalf("truncate: %v", err)
		}
	}
	m.resize(int(n))
}

func (m *modelled) flush(t *rapid.T) {
	if err := m.handle(t).Flush(m.ctx, rapid.Bool().Draw(t, "for good")); err != nil {
		t.Fatalf("flush: %v", err)
	}
	if got := m.s.content(); !bytes.Equal(got, m.want) {
		t.Fatalf("after a flush the server has %d bytes, other than the %d written", len(got), len(m.want))
	}
}

func (m *modelled) sync(t *rapid.T) {
	if err := m.handle(t).Sync(m.ctx); err != nil && !errors.Is(err, sftpconn.ErrUnreachable) {
		t.Fatalf("sync: %v", err)
	}
}

func (m *modelled) setTimes(t *rapid.T) {
	a := sftpconn.Attr{Flags: session.HasTimes, Mtime: rapid.Uint32().Draw(t, "mtime")}
	if !m.f.SetTimes(a) {
		m.s.set(func() { m.s.times = &a })
	}
	m.times = &a
}

func (m *modelled) reopen(t *rapid.T) {
	i := rapid.IntRange(0, len(m.handles)-1).Draw(t, "which")
	m.handles[i].Close()
	m.handles[i] = m.f.Open(m.s)
}

func (m *modelled) preload(*rapid.T) {
	if _, dirty := m.f.Size(); !dirty {
		m.f.Preload(bytes.Clone(m.want), int64(len(m.want)))
	}
}

func (m *modelled) remoteSize(*rapid.T) {
	if _, dirty := m.f.Size(); !dirty {
		m.f.SetRemoteSize(int64(len(m.want)))
	}
}
