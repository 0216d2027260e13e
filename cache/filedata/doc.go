// Package filedata holds the bytes of remote files on this side: blocks read
// ahead and bytes written and not yet acknowledged, within one budget each for
// all files of a mount. It knows nothing of names and of the kernel.
//
// # What a file is made of
//
// Three sorted lists of ranges lie over each other, and a read sees the first
// that has a byte:
//
//   - pending: extents that a program wrote and that have not been sent,
//   - flying: extents in flight to the server,
//   - clean: spans that were read from the server, or are being read; handles
//     from before a change on the server have theirs apart.
//
// Ranges of one list never overlap. Clean spans never overlap the other two:
// a write cuts them, so that what the server said before the write can't come
// back after it. A pending extent that overlaps a flying one is not sent before that
// is answered. So two requests for one byte are never in flight together, and the
// newer one reaches the server last.
//
// Some files end before the size that the server tells (File.Short), as those of sysfs do.
// Nothing of them is kept, as their content changes without a sign.
//
// # The way of a read
//
// Handle.read finds the parts of what is asked for in those lists (collect). It makes a span for each
// gap (ask), and for what should be read ahead of the stream that the read belongs to (stream.go). Each
// new span has a goroutine that reads it from the backend (fetch); the one that the reader waits for goes
// out first (send). The reader waits for the spans among its own parts, and gets slices of all parts
// (assemble). What is read behind the known end, or of a short file, comes from the server each time and
// is not kept (readBehind).
//
// # The way of a write
//
// Handle.write puts the bytes into a pending extent: one that is there (inPlace), or a new one, once the
// budget has room for it (reserve, put). An extent becomes due when it is as large as a request may be,
// when nothing more was written for a while (startIdle), or when somebody waits for it: a flush, or a
// writer for whom the budget has no room. Extents that are due and follow each other are sent as one
// request (pump, launch), by a goroutine that repeats it for as long as only the line is to blame
// (deliver, insist). Bytes that are acknowledged become a clean span, or are given back; bytes that can't
// be delivered go to Options.Lost, and their error to all open handles (landed). A flush waits until the
// epoch in which it was called, and those before, are over (flushed, epoch.go).
//
// # Words
//
//   - extent: bytes that were written, and are not acknowledged (extent.go); span: bytes that were read, or are
//     being read (clean.go). The blocks of a handle are its spans, shared with the handles of the same time
//     (blocks.go).
//   - epoch: what was written between two events that concern all that was written before: a flush, or times
//     that are to be set (epoch.go). It is sealed by that event.
//   - due: of an extent, to be sent now; the others wait for more to merge with.
//   - dirty: of a file, with epochs that are not over; of bytes, not acknowledged.
//   - barred: of a file, while its content is changed as a whole: nothing is written to it (truncate.go).
//   - unclaimed: of a span, with no handle that may come for it (budget.go).
//   - divided: of a file, with handles that read what it was before it changed (blocks.go).
//   - short: of a file, that it ends before the size that the server tells.
//   - stream: reads that go forward through a file (stream.go).
//
// # Memory
//
// All bytes live in counted, pooled buffers; a read hands out slices of them
// and the last to let go returns them. Buffers never change under a reader: a
// write goes into an extent's buffer only where nobody else holds it.
//
// # Goroutines
//
// There is none while there is nothing to do. One reads each span (fetch), one sends each
// request of a write (send), one sets times that have to follow their bytes alone (sendTimes):
// these are counted by Pool.begin and Pool.end, and Pool.Close waits for them. A flush that
// asks for something behind its bytes has one until it returns (behind). Two timers run beside
// them: File.idle sends what nothing follows, and Pool.janitor gives up what nobody has used
// for a while; neither runs where it has nothing to look after.
//
// # Locks
//
// File.mu comes before Pool.mu; latency.mu is a leaf. No two files' locks are held
// together, and no lock is held while the server, a program or a function of
// Options is waited for.
//
// An unexported method that touches what File.mu guards, and does not take it, is called
// with it held. The methods of Pool that end in Locked are called with Pool.mu held. The
// methods that wait for the server or call a function of Options (fetch, send, sendTimes,
// deliver, insist, timesRefused) are called with no lock.
package filedata
