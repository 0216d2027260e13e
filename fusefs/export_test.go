package fusefs

// Waiting is the number of the kernel's requests that wait for something now.
func (m *Mounted) Waiting() int {
	m.watch.mu.Lock()
	defer m.watch.mu.Unlock()
	return len(m.watch.waiting)
}
