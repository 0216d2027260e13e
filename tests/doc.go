// Package tests holds the whole-program tests: the built sshmount, a real sshd
// on the loopback with keys made for the run, and ordinary programs and system
// calls at work on the mount. There is nothing here but tests; the rooms of the
// program have their own beside them.
//
// A test starts its own server (newServer), mounts from it (server.mount) and
// compares what is seen through the mount with the server's disk, which is the
// same disk here. The program under test always runs as a process of its own:
// a process that serves a mount and touches it too can deadlock in the kernel.
//
// Nor may a test hold a file with unsaved bytes on a mount whose server is away:
// each program that the test starts closes the copy that it inherits, which
// waits for the server, and while one program is being started no other can be.
// Programs of their own (startHelper) hold such files.
//
// The environment changes what is tested:
//
//	SSHMOUNT_BIN=/path       this binary instead of one built from the sources;
//	                         Debian's sshfs serves to check the tests themselves
//	SSHMOUNT_TEST_RACE=1     build the binary with the race detector
//	SSHMOUNT_TEST_KEEP=1     leave the scratch folder with the logs
package tests
