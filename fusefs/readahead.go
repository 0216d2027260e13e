package fusefs

import (
	"errors"
	"fmt"
	"os"
)

// ReadAhead has the kernel ask for so many bytes at a time ahead of a program that reads on, in place of its 128 KiB: each request
// wakes this process and then the program. What a mapped file is read by grows with it, and whoever touches one page waits for all
// of that. Only root may set it.
func (m *Mounted) ReadAhead(bytes int) error {
	if m.device == (device{}) {
		return errors.New("the number of the mount is not known")
	}
	file := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", m.device.major, m.device.minor)
	return os.WriteFile(file, fmt.Append(nil, bytes>>10), 0)
}
