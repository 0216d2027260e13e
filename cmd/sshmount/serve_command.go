package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"sshmount/sftpconn/sftpserve"
)

func serveCommand() *cobra.Command {
	var o sftpserve.Options
	var hostKey, users, client string
	var verbose bool
	c := &cobra.Command{
		Use:   "serve [--dir DIR] (--client-dir NEWDIR | --authorized-keys FILE)",
		Short: "Serves SFTP over SSH, on loopback, until it is interrupted: for trying things out without an sshd",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q: the directory to serve is given with --dir", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelInfo
			}
			o.Logger = slog.New(newLogger(os.Stderr, level))
			return serveSFTP(c.OutOrStdout(), o, hostKey, users, client)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:0", "address and port; port 0 is a free one")
	f.StringVar(&o.Dir, "dir", ".", "directory in which sessions begin (clients can go everywhere, with your rights)")
	f.BoolVar(&o.ReadOnly, "read-only", false, "refuse every change")
	f.StringVar(&hostKey, "host-key", "fresh", "file with the host key, or 'fresh' for a new one")
	f.StringVar(&users, "authorized-keys", "", "file with the public keys of those who may log in")
	f.StringVar(&client, "client-dir", "", "make a new key for a client, and write what it needs to this directory: id_ed25519, known_hosts, ssh_config (host 'try')")
	f.BoolVarP(&verbose, "verbose", "v", false, "log logins")
	return c
}

func serveSFTP(out io.Writer, o sftpserve.Options, hostKey, users, clientDir string) error {
	if users == "" && clientDir == "" {
		return failed(exitUsage, errors.New("who may log in? give --authorized-keys FILE, or --client-dir NEWDIR for a new key"))
	}
	var err error
	if hostKey != "fresh" {
		if o.HostKey, err = sftpserve.LoadKey(hostKey); err != nil {
			return failed(exitUsage, fmt.Errorf("host key: %w", err))
		}
	}
	if users != "" {
		if o.Users, err = sftpserve.LoadUsers(users); err != nil {
			return failed(exitUsage, fmt.Errorf("authorized keys: %w", err))
		}
	}
	var client *sftpserve.Client
	if clientDir != "" {
		if client, err = sftpserve.NewClient(clientDir); err != nil {
			return failed(exitUsage, clientDirError(err))
		}
		o.Users = append(o.Users, client.Key)
	}
	ctx, stop := untilSignal()
	defer stop()
	s, err := sftpserve.Start(o)
	if err != nil {
		if client != nil {
			client.Discard()
		}
		return failed(exitFailure, err)
	}
	if client != nil {
		if err := client.Trust(s.Addr(), s.HostKey()); err != nil {
			client.Discard()
			return failed(exitUsage, errors.Join(clientDirError(err), s.Close()))
		}
	}
	// Whoever starts this in a script reads the line to learn the port, and that all is ready.
	if _, err := fmt.Fprintf(out, "listening on %s\n", s.Addr()); err != nil {
		return failed(exitFailure, errors.Join(fmt.Errorf("cannot say where it listens: %w", err), s.Close()))
	}
	<-ctx.Done()
	return failed(exitFailure, s.Close())
}

func clientDirError(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("client directory: %w, of another server perhaps; choose a directory that is not there yet", err)
	}
	return fmt.Errorf("client directory: %w", err)
}
