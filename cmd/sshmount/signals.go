package main

import (
	"os"
	"os/signal"
	"slices"
)

// heeded are those of the signals that whoever started the program has not had it ignore: nohup does so with SIGHUP, and a
// shell with SIGINT for what it runs in the background. To ask for a signal would end that, for the programs started from
// here too. The runtime keeps only these two ignored, so with SIGTERM among the signals the list is never empty, which
// would stand for all.
func heeded(signals ...os.Signal) []os.Signal {
	return slices.DeleteFunc(signals, signal.Ignored)
}
