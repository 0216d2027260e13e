package fusefs

import (
	"errors"
	"fmt"
	"os"
)

// ReadAhead sets how many bytes the kernel reads ahead of a program in one request, in place of its 128 KiB: with larger requests this
// process and the program are woken less often. But a mapped file is read in such pieces too, and whoever touches one page waits for all of
// the piece. Only root may set it.
func (m *Mounted) ReadAhead(bytes int) error {
	if m.device == (device{}) {
		return errors.New("the number of the mount is not known")
	}
	file := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", m.device.major, m.device.minor)
	return os.WriteFile(file, fmt.Append(nil, bytes>>10), 0)
}
