package cmdline

import (
	"path/filepath"
	"strings"
	"time"
)

// formOf tells from the program's name what the caller expects.
func formOf(calledAs string, viaMount bool) form {
	name := filepath.Base(calledAs)
	f := form{helper: strings.HasPrefix(name, "mount.")}
	f.viaMountFuse = viaMount && !f.helper
	f.sshfs = name == "sshfs" || f.helper && strings.HasSuffix(name, "sshfs")
	return f
}

// asMountFuseWrites reports whether the arguments look like those that mount.fuse3 composes for root: the operands, and one list of
// options that ends with dev and suid. Where mount.fuse3 was not run by mount(8) (pam_mount runs it directly) nothing else shows that
// it was: it replaces itself by a shell, and that by this program, so there is no parent process to look at.
func asMountFuseWrites(args []string) bool {
	return len(args) == 4 && args[2] == "-o" && strings.HasSuffix(","+args[3], ",dev,suid")
}

// IsHelper reports whether the program was called as a helper of mount(8), for
// which exit statuses have other meanings.
func IsHelper(calledAs string) bool { return formOf(calledAs, false).helper }

// complete checks what concerns several options together, and fills in what follows from them.
func (s *Settings) complete() error {
	t, err := parseTarget(s.Source)
	if err != nil {
		return &Error{err.Error()}
	}
	s.Dial.Host, s.Dial.User, s.Cache.Root = t.host, t.user, t.dir
	if t.port != "" {
		if s.Dial.Port != "" && s.Dial.Port != t.port {
			return faultf("the address says port %s and -p says %s", t.port, s.Dial.Port)
		}
		s.Dial.Port = t.port
	}
	if t.host == "" && !s.Passive && s.Dial.VSock == "" {
		return faultf("%q names no host", s.Source)
	}
	if err := s.checkTogether(); err != nil {
		return err
	}
	if s.form.viaMountFuse {
		// mount.fuse3 adds both to whatever root mounts, so here they are nobody's wish.
		if s.form.byLooks && s.Mount.Suid && s.Mount.Dev {
			s.warn("'dev,suid' at the end of the options is what mount.fuse3 adds, and is passed over; if you want both, write suid,dev")
		}
		s.Mount.Suid, s.Mount.Dev = s.Mount.Suid && !s.suidGiven, s.Mount.Dev && !s.devGiven
	}
	if s.Mount.AllowOther && s.Mount.AllowRoot {
		s.Mount.AllowOther = false
		s.warn("allow_other and allow_root: only root may use the mount, too, as with allow_root alone")
	}
	if s.Mount.AllowOther && !s.noDefaultPerms {
		s.Mount.DefaultPermissions = true
	}
	if s.Debug || s.Passive {
		s.Foreground = true
	}
	s.Mount.Debug = s.Debug
	if s.attrTrust != (trust{}) {
		s.Cache.Timeout = s.attrTrust.smallest()
		if s.Cache.Timeout == 0 {
			s.Cache.NoDirCache = true
		}
	}
	for _, d := range []*time.Duration{s.Mount.EntryTimeout, s.Mount.NegativeTimeout} {
		if d != nil && *d == 0 {
			// A user who has the kernel ask each time wants to see new files of others at once.
			s.Cache.NoAbsence = true
		}
	}
	if s.Mount.FsName == "" {
		s.Mount.FsName = s.Source
	}
	if s.Mount.Subtype == "" {
		s.Mount.Subtype = "sshmount"
	}
	if s.DrainTimeout == 0 {
		s.DrainTimeout = 2 * time.Minute
	}
	return nil
}

// checkTogether refuses options that exclude each other.
func (s *Settings) checkTogether() error {
	ways := 0
	for _, used := range []bool{s.Passive, s.Dial.DirectPort != "", s.Dial.VSock != "", s.Dial.SSHCommand != ""} {
		if used {
			ways++
		}
	}
	switch {
	case ways > 1:
		return faultf("passive, directport, vsock and ssh_command are ways to reach the server: choose one")
	case s.Passive && s.PasswordFromStdin:
		return faultf("passive and password_stdin both want standard input: choose one")
	case s.Passive && s.Conn.MaxConns > 1:
		return faultf("passive has one connection, standard input and output: leave max_conns out")
	case s.IDMap == MapFile && s.UIDFile == "" && s.GIDFile == "":
		return faultf("idmap=file needs uidfile=FILE or gidfile=FILE")
	case s.Cache.Async && s.Cache.SyncWrites:
		return faultf("async and sync (sshfs_sync) are opposites: choose one")
	}
	return nil
}
