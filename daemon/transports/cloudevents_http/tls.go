package cloudeventshttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/net/netutil"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/filevalue"
)

// ServerTLS makes a [Source] speak TLS, version 1.2 or later, with HTTP 1.1. The files are PEM, and are read anew when they change.
type ServerTLS struct {
	// CertFile is the certificate, with those between it and its authority behind it.
	CertFile string `yaml:"cert_file"`
	// KeyFile is the private key of the certificate.
	KeyFile string `yaml:"key_file"`
	// ClientCAFile are the authorities by one of which the certificates of clients must be signed. Without it none is asked for.
	ClientCAFile string `yaml:"client_ca_file"`
}

func (t *ServerTLS) validate() (err error) {
	if t == nil {
		return nil
	}
	if t.CertFile == "" {
		err = errors.New("tls.cert_file: is missing; what listens needs a certificate")
	}
	if t.KeyFile == "" {
		err = errors.Join(err, errors.New("tls.key_file: is missing; what listens needs the key of its certificate"))
	}
	return err
}

// config follows the files.
func (t *ServerTLS) config(log *slog.Logger) (*tls.Config, error) {
	files := []filevalue.File{{Key: "tls.cert_file", Path: t.CertFile}, {Key: "tls.key_file", Path: t.KeyFile}}
	if t.ClientCAFile != "" {
		files = append(files, filevalue.File{Key: "tls.client_ca_file", Path: t.ClientCAFile})
	}
	current, err := filevalue.New(files, log, func(contents [][]byte) (*tls.Config, error) {
		own, err := keyPair(contents[0], contents[1])
		if err != nil {
			return nil, err
		}
		c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{own}}
		if len(contents) > 2 {
			if c.ClientCAs, err = authorities("tls.client_ca_file", contents[2]); err != nil {
				return nil, err
			}
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.Get(), nil }}, nil
}

// ClientTLS says how a [Sink] speaks TLS. The files are PEM, and are read anew when they change.
type ClientTLS struct {
	// CAFile are the authorities that are trusted in place of the system's, for the target and for the token endpoint of OAuth2.
	CAFile string `yaml:"ca_file"`
	// CertFile is the certificate that is shown to who asks for one, with those between it and its authority behind it.
	CertFile string `yaml:"cert_file"`
	// KeyFile is the private key of the certificate.
	KeyFile string `yaml:"key_file"`
	// ServerName is the name that the target's certificate must have, in place of the one in the URL.
	ServerName string `yaml:"server_name"`
}

func (t *ClientTLS) validate() error {
	switch {
	case t == nil || (t.CertFile == "") == (t.KeyFile == ""):
		return nil
	case t.CertFile == "":
		return errors.New("tls.cert_file: is missing; there is no use for the key alone")
	}
	return errors.New("tls.key_file: is missing; a certificate needs its key")
}

// files are those to read, in the order in which config wants their contents.
func (t *ClientTLS) files() (out []filevalue.File) {
	if t == nil {
		return nil
	}
	if t.CAFile != "" {
		out = append(out, filevalue.File{Key: "tls.ca_file", Path: t.CAFile})
	}
	if t.CertFile != "" {
		out = append(out, filevalue.File{Key: "tls.cert_file", Path: t.CertFile}, filevalue.File{Key: "tls.key_file", Path: t.KeyFile})
	}
	return out
}

func (t *ClientTLS) config(contents [][]byte) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return c, nil
	}
	c.ServerName = t.ServerName
	var err error
	if t.CAFile != "" {
		if c.RootCAs, err = authorities("tls.ca_file", contents[0]); err != nil {
			return nil, err
		}
		contents = contents[1:]
	}
	if t.CertFile != "" {
		own, err := keyPair(contents[0], contents[1])
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

func keyPair(cert, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls.cert_file: with tls.key_file: %w", err)
	}
	return pair, nil
}

func authorities(key string, pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: there is no certificate in it", key)
	}
	return pool, nil
}

// sendBuffer bounds the answers that the operating system keeps for a client that does not read them, in bytes. They are short; what it
// would choose itself are megabytes, for each connection.
const sendBuffer = 64 << 10

// bounded is a listener with so many connections at once; more wait for the operating system to hand them over. A connection of netutil hides
// what net/http needs to end one without a reset, by which a client could lose the answer, so that it is given back here.
type bounded struct {
	net.Listener // of netutil
	last         *remembering
}

func bound(listener net.Listener, connections int) net.Listener {
	last := &remembering{Listener: listener}
	return &bounded{netutil.LimitListener(last, connections), last}
}

// Accept must not be called from two goroutines at once; http.Server does not.
func (b *bounded) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if half, ok := b.last.conn.(halfCloser); ok {
		return &halfClosing{conn, half}, nil
	}
	return conn, nil
}

type remembering struct {
	net.Listener
	conn net.Conn
}

func (r *remembering) Accept() (net.Conn, error) {
	var err error
	r.conn, err = r.Listener.Accept()
	if tcp, ok := r.conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // a connection that is gone already fails later
	}
	return r.conn, err
}

type halfCloser interface{ CloseWrite() error }

type halfClosing struct {
	net.Conn
	halfCloser
}
