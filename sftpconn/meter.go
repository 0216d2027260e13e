package sftpconn

import "time"

// meter measures a rate over the last seconds, for people to read.
type meter struct {
	total   uint64
	buckets [5]int64 // bytes of each of the last seconds
	second  int64
}

// add counts n bytes. With the owner's lock held.
func (m *meter) add(now time.Time, n int64) {
	m.total += uint64(n)
	m.advance(now)
	m.buckets[m.second%int64(len(m.buckets))] += n
}

func (m *meter) advance(now time.Time) {
	s := now.Unix()
	for k := max(m.second+1, s-int64(len(m.buckets))+1); k <= s; k++ {
		m.buckets[k%int64(len(m.buckets))] = 0
	}
	m.second = max(m.second, s)
}

// rate is the mean of the last full seconds, in bytes/s.
func (m *meter) rate(now time.Time) float64 {
	m.advance(now)
	sum := int64(0)
	for k, b := range m.buckets {
		if int64(k) != m.second%int64(len(m.buckets)) {
			sum += b
		}
	}
	return float64(sum) / float64(len(m.buckets)-1)
}
