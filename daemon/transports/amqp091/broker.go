package amqp091

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The ways to log in.
const (
	// AuthPlain is by user and password.
	AuthPlain = "plain"
	// AuthExternal takes the user from the client's certificate (RabbitMQ's plugin rabbitmq_auth_mechanism_ssl).
	AuthExternal = "external"
)

// TLS says by which certificates the two ends know each other. The files are PEM. They are read anew for each connection, so
// that a certificate that was renewed is taken without a restart.
type TLS struct {
	// CAFile is a file with the certificates of the authorities that may have signed the broker's. Empty: those of the system.
	CAFile string `yaml:"ca_file"`

	// CertFile is a file with the certificate that is shown to the broker, and behind it those between it and its authority. It
	// needs KeyFile.
	CertFile string `yaml:"cert_file"`

	// KeyFile is a file with the private key of CertFile, without a passphrase.
	KeyFile string `yaml:"key_file"`

	// ServerName is what the broker's certificate must be for. Empty: the host that is connected to.
	ServerName string `yaml:"server_name"`
}

// validate names the keys that are wrong. It opens no file.
func (t *TLS) validate() error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("tls: cert_file and key_file need each other")
	}
	return nil
}

// config reads the files. Its errors name them.
func (t *TLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls: authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("tls: authorities: %s has no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" {
		own, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls: certificate %s with key %s: %w", t.CertFile, t.KeyFile, err)
		}
		c.Certificates = []tls.Certificate{own}
		// Otherwise it would be held back from a broker that does not know its authority, which would then say that there is none.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	return c, nil
}

// broker is what one attempt to connect needs.
type broker struct {
	url      string      // for the library, which takes some parameters from it
	endpoint string      // for messages
	login    string      // for messages: who logs in, and how
	config   amqp.Config // how to log in, the virtual host and TLS
}

// broker reads the files that the settings name: what was changed in them counts from the next connection on.
func (s *Settings) broker() (*broker, error) {
	b := &broker{url: s.URL}
	var uri amqp.URI
	if s.inParts() {
		uri = s.parts()
		if s.PasswordFile != "" {
			var err error
			if uri.Password, err = readSecret(s.PasswordFile); err != nil {
				return nil, fmt.Errorf("password_file: %w", err)
			}
		}
		b.url = uri.Scheme + "://" + net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port)) + "/"
	} else {
		key := "url"
		var err error
		if s.URLFile != "" {
			key = "url_file"
			if b.url, err = readSecret(s.URLFile); err != nil {
				return nil, fmt.Errorf("url_file: %w", err)
			}
		}
		if uri, err = amqp.ParseURI(b.url); err != nil {
			return nil, fmt.Errorf("%s: not an AMQP URI: %w", key, withoutURL(err))
		}
		if err := s.suits(key, uri); err != nil {
			return nil, err
		}
	}
	b.endpoint = endpointOf(uri)
	b.config.Vhost = uri.Vhost
	if uri.Scheme == "amqps" {
		var err error
		if b.config.TLSClientConfig, err = s.tls(uri).config(uri.Host); err != nil {
			return nil, err
		}
	}
	switch {
	case s.Auth == AuthExternal:
		b.config.SASL = []amqp.Authentication{&amqp.ExternalAuth{}}
		b.login = "by its certificate (EXTERNAL)"
		if c := b.config.TLSClientConfig; c != nil && len(c.Certificates) > 0 && c.Certificates[0].Leaf != nil {
			b.login = fmt.Sprintf("by the certificate of %q (EXTERNAL)", c.Certificates[0].Leaf.Subject)
		}
	case uri.AuthMechanism != nil:
		// The library follows the URL.
		b.login = fmt.Sprintf("as %q (%s)", uri.Username, strings.ToUpper(strings.Join(uri.AuthMechanism, ", ")))
	default:
		b.config.SASL = []amqp.Authentication{uri.PlainAuth()}
		b.login = fmt.Sprintf("as %q (PLAIN)", uri.Username)
	}
	return b, nil
}

// OtherThanURL are the keys of what may stand in place of the URL.
func OtherThanURL() []string {
	return []string{"url_file", "host", "port", "vhost", "username", "password", "password_file"}
}

// inParts tells whether the broker is given by Host and its like.
func (s *Settings) inParts() bool { return len(s.partKeys()) > 0 }

// partKeys are the keys of the parts that are given.
func (s *Settings) partKeys() []string {
	var keys []string
	for _, part := range []struct {
		key   string
		given bool
	}{
		{"host", s.Host != ""}, {"port", s.Port != 0}, {"vhost", s.VHost != ""}, {"username", s.Username != ""},
		{"password", s.Password != ""}, {"password_file", s.PasswordFile != ""},
	} {
		if part.given {
			keys = append(keys, part.key)
		}
	}
	return keys
}

// parts is the broker that is given in parts, with the password only if that is in no file.
func (s *Settings) parts() amqp.URI {
	uri := amqp.URI{
		Scheme: "amqp", Host: s.Host, Port: 5672, Vhost: "/", Username: s.Username, Password: string(s.Password),
	}
	if s.TLS != nil {
		uri.Scheme, uri.Port = "amqps", 5671
	}
	if s.Port != 0 {
		uri.Port = s.Port
	}
	if s.VHost != "" {
		uri.Vhost = s.VHost
	}
	return uri
}

// tls is what the settings say, or the URL.
func (s *Settings) tls(uri amqp.URI) *TLS {
	if s.TLS != nil {
		return s.TLS
	}
	return &TLS{CAFile: uri.CACertFile, CertFile: uri.CertFile, KeyFile: uri.KeyFile, ServerName: uri.ServerName}
}

// validateBroker tells what is wrong with the keys that say where the broker is and how to log in.
func (s *Settings) validateBroker() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
	}
	if !slices.Contains([]string{AuthPlain, AuthExternal}, s.Auth) {
		bad("auth", "%q is neither %s nor %s", s.Auth, AuthPlain, AuthExternal)
	}
	parts := s.partKeys()
	switch {
	case s.URL != "" && s.URLFile != "":
		bad("url", "excludes url_file; write one of them")
	case s.URL != "" && len(parts) > 0:
		bad("url", "excludes %s; write the URL or the parts", strings.Join(parts, ", "))
	case s.URLFile != "" && len(parts) > 0:
		bad("url_file", "excludes %s; write the URL's file or the parts", strings.Join(parts, ", "))
	case s.URL != "":
		uri, err := amqp.ParseURI(s.URL)
		if err != nil {
			bad("url", "not an AMQP URI: %w", withoutURL(err))
			break
		}
		errs = append(errs, s.suits("url", uri))
	case s.URLFile != "":
		if s.TLS != nil {
			errs = append(errs, s.TLS.validate())
		}
	case len(parts) > 0:
		errs = append(errs, s.validateParts(parts))
	default:
		bad("url", "is missing; url_file or host may stand in its place")
	}
	return errors.Join(errs...)
}

func (s *Settings) validateParts(given []string) error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
	}
	if s.Host == "" {
		bad("host", "is missing; %s go with it", strings.Join(given, ", "))
	} else if strings.ContainsAny(s.Host, "/@[] \t") || strings.Contains(s.Host, ":") && net.ParseIP(s.Host) == nil {
		bad("host", "%q is neither a name nor an address; the port has a key of its own", s.Host)
	}
	if s.Port < 0 || s.Port > 65535 {
		bad("port", "%d is not between 0 and 65535", s.Port)
	}
	if err := shortString(s.VHost); err != nil {
		bad("vhost", "%w", err)
	}
	if s.Auth == AuthExternal {
		for _, key := range given {
			if key == "username" || key == "password" || key == "password_file" {
				bad(key, "is of no use with auth: external, which takes the user from the certificate")
			}
		}
	} else {
		if s.Username == "" {
			bad("username", "is missing")
		}
		switch {
		case s.Password != "" && s.PasswordFile != "":
			bad("password", "excludes password_file; write one of them")
		case s.Password == "" && s.PasswordFile == "":
			bad("password", "is missing; password_file may stand in its place")
		}
	}
	return errors.Join(append(errs, s.suits("host", s.parts()))...)
}

// suits tells whether the other settings go with the broker that a key gives.
func (s *Settings) suits(key string, uri amqp.URI) error {
	var errs []error
	security := s.tls(uri)
	switch inURL := uri.CACertFile + uri.CertFile + uri.KeyFile + uri.ServerName; {
	case s.TLS != nil && uri.Scheme != "amqps":
		errs = append(errs, fmt.Errorf("tls: the %s says amqp://, which is without TLS; write amqps://", key))
	case s.TLS != nil && inURL != "":
		errs = append(errs, fmt.Errorf("tls: the %s has parameters for TLS too; write them here only", key))
	default:
		errs = append(errs, security.validate())
	}
	for _, mechanism := range uri.AuthMechanism {
		if !slices.Contains([]string{"PLAIN", "AMQPLAIN", "EXTERNAL"}, strings.ToUpper(mechanism)) {
			errs = append(errs, fmt.Errorf("%s: auth_mechanism %q is none of plain, amqplain and external", key, mechanism))
		}
	}
	if s.Auth == AuthExternal && (uri.Scheme != "amqps" || security.CertFile == "") {
		errs = append(errs, errors.New("auth: external needs tls.cert_file and tls.key_file"))
	}
	return errors.Join(errs...)
}

// readSecret is the text of a file without the end of its last line.
func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

// refused says more about a failed attempt than the library does.
func (b *broker) refused(err error) error {
	var unknown x509.UnknownAuthorityError
	var otherName x509.HostnameError
	switch {
	case errors.Is(err, amqp.ErrCredentials):
		// That is what the library makes of a connection that ends at this point, as a broker ends it that refuses a login.
		return fmt.Errorf("the broker does not let the relay in %s: %w", b.login, err)
	case errors.Is(err, amqp.ErrSASL):
		return fmt.Errorf("the broker does not offer the login %s: %w", b.login, err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w (tls.ca_file names the authorities that are trusted)", err)
	case errors.As(err, &otherName):
		return fmt.Errorf("%w (tls.server_name is the name to expect, if it is not the host)", err)
	case b.config.TLSClientConfig != nil && cutOff.MatchString(err.Error()):
		return fmt.Errorf("%w (a broker does that too when it does not accept the client's certificate, or wants one; its log knows)", err)
	}
	return err
}

// cutOff is what is seen of a broker that ends the connection. With TLS 1.3 it judges the client's certificate when the client has begun
// to talk already, and then its words may get lost.
var cutOff = regexp.MustCompile(`connection reset|broken pipe|\bEOF\b|connection is not open`)

// withoutURL takes the URL, and the password in it, out of a parser's error.
func withoutURL(err error) error {
	var parse *url.Error
	if errors.As(err, &parse) {
		err = parse.Err
	}
	// Of a bad port or escape, net/url quotes the part of the authority that it stumbled over.
	if text := err.Error(); strings.ContainsRune(text, '"') {
		return errors.New(strings.TrimSpace(text[:strings.IndexByte(text, '"')]))
	}
	return err
}

// endpoint is the broker without user and password, for messages.
func (s Settings) endpoint() string {
	switch {
	case s.inParts():
		return endpointOf(s.parts())
	case s.URLFile != "":
		return "the broker of " + s.URLFile
	}
	uri, err := amqp.ParseURI(s.URL)
	if err != nil {
		return "an invalid URL"
	}
	return endpointOf(uri)
}

func endpointOf(uri amqp.URI) string {
	return fmt.Sprintf("%s://%s/%s", uri.Scheme, net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port)), strings.TrimPrefix(uri.Vhost, "/"))
}
