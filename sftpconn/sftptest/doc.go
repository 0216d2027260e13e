// Package sftptest gives tests a real SFTP server behind a line that can be cut,
// frozen and watched.
//
// A Server starts OpenSSH's sftp-server, one process a channel, and is dialled
// like a connection to a host:
//
//	tap := sftptest.NewTap()
//	srv := sftptest.New(t, sftptest.WithTap(tap))
//	tr, err := srv.Dial(ctx)   // a transport.Transport
//	ch, err := tr.OpenChannel(ctx)
//	srv.Cut()                  // the line is gone; the next Dial gets a new one
//
// The server works in srv.Dir(), the test's own view of what is on the remote
// side; it is not confined to it: paths of requests are those of this machine.
//
// A Tap sits between the line and the server. It counts requests and flights,
// and can change, hold, delay, drop or answer what passes:
//
//	tap.SetDelay(20 * time.Millisecond)
//	tap.Reset()
//	… work …
//	if n := tap.Flights(); n > 2 {
//		t.Errorf("%d flights, at most 2 wanted:\n%s", n, strings.Join(tap.Log(), "\n"))
//	}
//
// Everything ends with the test: New registers a cleanup that ends every process
// and goroutine, and waits for them.
package sftptest
