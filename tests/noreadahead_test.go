package tests

import (
	"os"
	"testing"
)

func TestTheKernelReadsNothingAheadWhereItIsForbidden(t *testing.T) {
	onlySshmount(t)
	if os.Geteuid() != 0 {
		t.Skip("only root mounts have it raised")
	}
	if told := newServer(t).mount("-o", "max_readahead=0").kernelAhead(); told != 0 {
		t.Errorf("%d KiB with max_readahead=0", told)
	}
}
