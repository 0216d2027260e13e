package cmdline

import (
	"fmt"
	"slices"
	"strings"
)

// fileOptions say how files, links and owners are shown.
var fileOptions = []option{
	{Name: "idmap", Value: "TYPE", Choices: []string{MapNone, MapUser, MapFile, MapName}, Group: groupFiles,
		Help: "owners: user shows the remote user's files as yours (default), name goes by names, file by uidfile and gidfile, none shows the server's numbers",
		set:  text(func(s *Settings) *string { return &s.IDMap })},
	{Name: "uidfile", Value: "FILE", Group: groupFiles, Help: "lines of NAME:REMOTE_UID for idmap=file",
		set: file(func(s *Settings) *string { return &s.UIDFile })},
	{Name: "gidfile", Value: "FILE", Group: groupFiles, Help: "lines of NAME:REMOTE_GID for idmap=file",
		set: file(func(s *Settings) *string { return &s.GIDFile })},
	{Name: "nomap", Value: "TYPE", Choices: []string{"ignore", "error"}, Group: groupFiles,
		Help: "what idmap=file does with an id that has no line: ignore shows it as it is (default error)",
		set: func(s *Settings, v string) error {
			s.IgnoreUnmapped = v == "ignore"
			return nil
		}},
	{Name: "uid", Value: "N", Group: groupFiles, Help: "show this user as the owner of everything",
		set: id(func(s *Settings) **uint32 { return &s.Mount.UID })},
	{Name: "gid", Value: "N", Group: groupFiles, Help: "show this group for everything",
		set: id(func(s *Settings) **uint32 { return &s.Mount.GID })},
	{Name: "umask", Value: "M", Group: groupFiles, Help: "show everything with all permission bits but these, octal, whatever the server says",
		set: octal(func(s *Settings) **uint32 { return &s.Mount.Umask })},
	{Name: "fmask", Value: "M", Group: groupFiles, Help: "umask for all but directories",
		set: octal(func(s *Settings) **uint32 { return &s.Mount.FileMask })},
	{Name: "dmask", Value: "M", Group: groupFiles, Help: "umask for directories",
		set: octal(func(s *Settings) **uint32 { return &s.Mount.DirMask })},
	{Name: "follow_symlinks", Group: groupFiles, Help: "links are followed on the server and shown as what they lead to",
		set: flag(func(s *Settings) *bool { return &s.Cache.FollowSymlinks })},
	{Name: "transform_symlinks", Group: groupFiles, Help: "absolute targets of links are shown as relative ones",
		set: flag(func(s *Settings) *bool { return &s.Cache.TransformSymlinks })},
	{Name: "contain_symlinks", Group: groupFiles, Help: "links may not lead out of the mount (the default)",
		set: unflag(func(s *Settings) *bool { return &s.Cache.FreeSymlinks })},
	{Name: "no_contain_symlinks", Group: groupFiles, Help: "links lead where the server says, also into this machine's files",
		set: flag(func(s *Settings) *bool { return &s.Cache.FreeSymlinks })},
	{Name: "disable_hardlink", Group: groupFiles, Help: "link(2) is refused",
		set: flag(func(s *Settings) *bool { return &s.Cache.DisableHardlink })},
	{Name: "no_check_root", Group: groupIgnored, Help: "the remote directory is always looked at, at no cost",
		set: ignored},
	{Name: "workaround", Value: "LIST", Group: groupIgnored,
		Help: "colon-separated remedies of sshfs for old servers; what they mend is found out and mended unasked",
		set:  checkWorkarounds},
}

func checkWorkarounds(_ *Settings, list string) error {
	known := []string{"rename", "renamexdev", "truncate", "buflimit", "fstat", "createmode"}
	for _, w := range strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == ',' }) {
		if w != "none" && !slices.Contains(known, w) && !slices.Contains(known, strings.TrimPrefix(w, "no")) {
			return fmt.Errorf("unknown workaround %q; the known ones are none, %s, each also with 'no' before it", w, strings.Join(known, ", "))
		}
	}
	return nil
}
