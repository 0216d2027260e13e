package cmdline

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// sshKeywords are those of ssh_config(5), old ones included, except those that begin a
// block (Host, Match) or make no sense as an option (Include). Each may be given with -o,
// in upper or lower case, and is passed on to the SSH set-up.
var sshKeywords = strings.Fields(`
	AddKeysToAgent AddressFamily BatchMode BindAddress BindInterface CanonicalDomains CanonicalizeFallbackLocal
	CanonicalizeHostname CanonicalizeMaxDots CanonicalizePermittedCNAMEs CASignatureAlgorithms CertificateFile
	ChallengeResponseAuthentication ChannelTimeout CheckHostIP Cipher Ciphers ClearAllForwardings Compression CompressionLevel
	ConnectionAttempts ConnectTimeout ControlMaster ControlPath ControlPersist DynamicForward EnableEscapeCommandline
	EnableSSHKeysign EscapeChar ExitOnForwardFailure FingerprintHash ForkAfterAuthentication ForwardAgent ForwardX11
	ForwardX11Timeout ForwardX11Trusted GatewayPorts GlobalKnownHostsFile GSSAPIAuthentication GSSAPIClientIdentity
	GSSAPIDelegateCredentials GSSAPIKeyExchange GSSAPIKexAlgorithms GSSAPIRenewalForcesRekey GSSAPIServerIdentity
	GSSAPITrustDns HashKnownHosts HostbasedAcceptedAlgorithms HostbasedAuthentication HostbasedKeyTypes HostKeyAlgorithms
	HostKeyAlias Hostname IdentitiesOnly IdentityAgent IdentityFile IgnoreUnknown IPQoS KbdInteractiveAuthentication
	KbdInteractiveDevices KexAlgorithms KnownHostsCommand LocalCommand LocalForward LogLevel LogVerbose MACs
	NoHostAuthenticationForLocalhost NumberOfPasswordPrompts ObscureKeystrokeTiming PasswordAuthentication
	PermitLocalCommand PermitRemoteOpen PKCS11Provider Port PreferredAuthentications Protocol ProxyCommand ProxyJump
	ProxyUseFdpass PubkeyAcceptedAlgorithms PubkeyAcceptedKeyTypes PubkeyAuthentication RekeyLimit RemoteCommand
	RemoteForward RequestTTY RequiredRSASize RevokedHostKeys RhostsRSAAuthentication RSAAuthentication
	SecurityKeyProvider SendEnv ServerAliveCountMax ServerAliveInterval SessionType SetEnv SmartcardDevice StdinNull
	StreamLocalBindMask StreamLocalBindUnlink StrictHostKeyChecking SyslogFacility Tag TCPKeepAlive Tunnel TunnelDevice
	UpdateHostKeys User UsePrivilegedPort UserKnownHostsFile VerifyHostKeyDNS VisualHostKey XAuthLocation`)

// sshFileKeywords take the name of a file, which ssh reads against the working directory.
var sshFileKeywords = []string{"CertificateFile", "ControlPath", "GlobalKnownHostsFile", "IdentityAgent", "IdentityFile",
	"RevokedHostKeys", "UserKnownHostsFile"}

// hasCommas are the options of ssh whose value is a list with commas.
var hasCommas = map[string]bool{"CASignatureAlgorithms": true, "Ciphers": true, "HostbasedAcceptedAlgorithms": true, "HostbasedKeyTypes": true,
	"HostKeyAlgorithms": true, "KbdInteractiveDevices": true, "KexAlgorithms": true, "MACs": true, "PreferredAuthentications": true,
	"ProxyJump": true, "PubkeyAcceptedAlgorithms": true, "PubkeyAcceptedKeyTypes": true}

func sshKeyword(name string) (string, bool) {
	i := slices.IndexFunc(sshKeywords, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return "", false
	}
	return sshKeywords[i], true
}

// setSSH passes an option of ssh on.
func (s *Settings) setSSH(keyword, value string) error {
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("it needs a value: -o %s=VALUE", keyword)
	}
	if keyword == "Port" {
		if _, err := parsePort(value); err != nil {
			return err
		}
	}
	if keyword == "ConnectTimeout" && s.Dial.ConnectTimeout == 0 {
		// It holds without SSH too (directport), where nobody reads ssh's options. "none" is ssh's own word.
		if d, err := ParseSeconds(value); err == nil {
			s.Dial.ConnectTimeout = d
		}
	}
	if slices.Contains(sshFileKeywords, keyword) {
		value = completePath(keyword, value)
	}
	s.Dial.SSHOptions = append(s.Dial.SSHOptions, keyword+"="+value)
	return nil
}

// completePath makes a relative file name absolute, because the background process has
// another working directory: if it contains a slash, or is that of a file that exists. A
// result that ssh would not read as it is is put in quotes. Words such as none and
// SSH_AUTH_SOCK, lists of files, tokens (%h) and names below ~ are left as they are.
func completePath(keyword, value string) string {
	if filepath.IsAbs(value) || strings.ContainsAny(value, "~%$ \t\"") {
		return value
	}
	abs, err := filepath.Abs(value)
	if err != nil || !strings.Contains(value, "/") && !exists(abs) {
		return value
	}
	if keyword != "GlobalKnownHostsFile" && keyword != "RevokedHostKeys" { // there are no tokens in these
		abs = strings.ReplaceAll(abs, "%", "%%")
	}
	if strings.ContainsAny(abs, " \t'\"\\") {
		return `"` + inQuotes.Replace(abs) + `"`
	}
	return abs
}

var inQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
