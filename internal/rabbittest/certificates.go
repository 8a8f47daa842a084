//go:build unix

package rabbittest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates for the brokers and clients of a test. It is not
// safe for concurrent use.
type Authority struct {
	// CAFile has the authority's own certificate.
	CAFile string

	dir    string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// NewAuthority makes an authority of its own that writes its files to a folder.
func NewAuthority(dir, name string) (*Authority, error) {
	a := &Authority{dir: dir}
	template := certificate(name, 1)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	var err error
	if a.CAFile, _, a.cert, a.key, err = a.sign(template, name, nil); err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	a.serial = 1
	return a, nil
}

// Issue makes a certificate for a common name, and for hosts if it is to be a
// server's, and the key of it. The same name again overwrites the files of the
// one before.
func (a *Authority) Issue(name string, hosts ...string) (certFile, keyFile string, err error) {
	a.serial++
	template := certificate(name, a.serial)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	certFile, keyFile, _, _, err = a.sign(template, name, a.cert)
	if err != nil {
		return "", "", fmt.Errorf("certificate for %s: %w", name, err)
	}
	return certFile, keyFile, nil
}

func certificate(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

// sign makes a key and writes it and its certificate; without a parent, the
// certificate is signed by its own key.
func (a *Authority) sign(template *x509.Certificate, name string, parent *x509.Certificate) (
	certFile, keyFile string, cert *x509.Certificate, key *ecdsa.PrivateKey, err error,
) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return "", "", nil, nil, err
	}
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	text, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return "", "", nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", nil, nil, err
	}
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text}), 0o600); err != nil {
		return "", "", nil, nil, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return "", "", nil, nil, err
	}
	cert, err = x509.ParseCertificate(text)
	return certFile, keyFile, cert, key, err
}
