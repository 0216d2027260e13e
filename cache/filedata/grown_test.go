package filedata

import (
	"bytes"
	"sync"
	"testing"
)

// A read is answered with an end that the file has no more when the answer comes.
func TestAnEndSeenBeforeTheFileHasGrownIsNotBelieved(t *testing.T) {
	const before, after = 500, 2000
	for how, grow := range map[string]func(f *File){
		"the server tells a larger size": func(f *File) { f.SetRemoteSize(after) },
		"it was made longer here":        func(f *File) { f.Truncated(after, true) },
		"the server has copied into it":  func(f *File) { f.Grown(after, after) },
	} {
		t.Run(how, func(t *testing.T) {
			s := newServer(random(before))
			p := newPool(t, Options{})
			f := p.NewFile(nil, 1000) // it was longer once
			h := f.Open(s)
			defer h.Close()
			reached, open := make(chan struct{}), make(chan struct{})
			var once sync.Once
			s.after = func(request) {
				once.Do(func() { close(reached) })
				<-open
			}
			read := make(chan []byte)
			go func() { read <- mustRead(t, h, 0, 1000) }()
			<-reached
			s.set(func() { s.data = random(after) })
			grow(f)
			close(open)
			if got := <-read; !bytes.Equal(got, s.content()[:1000]) {
				t.Errorf("read %d bytes, or wrong ones", len(got))
			}
			if n, _ := f.Size(); n != after || f.Short() {
				t.Errorf("size %d, short %v", n, f.Short())
			}
		})
	}
}
