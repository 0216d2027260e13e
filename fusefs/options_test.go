package fusefs

import (
	"slices"
	"testing"
	"time"
)

func TestKernelTrustsNoLongerThanCacheAndOptionsAllow(t *testing.T) {
	second, zero := time.Second, time.Duration(0)
	for _, c := range []struct {
		ttl   time.Duration
		limit *time.Duration
		want  time.Duration
	}{
		{20 * second, nil, 20 * second},
		{20 * second, &second, second},
		{second / 2, &second, second / 2},
		{20 * second, &zero, 0},
		{-second, nil, 0},
	} {
		if got := bound(c.ttl, c.limit); got != c.want {
			t.Errorf("bound(%v, %v) is %v, want %v", c.ttl, c.limit, got, c.want)
		}
	}
}

func TestMountWords(t *testing.T) {
	plain := Options{}
	for _, want := range []string{"nosuid", "nodev", "rw", "max_read=1048576"} {
		if !slices.Contains(plain.words(), want) {
			t.Errorf("a plain mount has the options %q, without %s", plain.words(), want)
		}
	}
	rich := Options{AllowRoot: true, ReadOnly: true, Suid: true, MaxRead: 65536, MountOptions: []string{"x-test"}}
	for _, want := range []string{"allow_other", "ro", "suid", "max_read=65536", "x-test"} {
		if !slices.Contains(rich.words(), want) {
			t.Errorf("the options are %q, without %s", rich.words(), want)
		}
	}
}
