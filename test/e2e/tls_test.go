package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// encrypted runs a server with a certificate of its own, to which the client speaks the version of HTTP.
func encrypted(t *testing.T, version string) *server {
	t.Helper()
	cert, key, pool := certify(t)
	s := newServer(t, t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	s.scheme = "https"
	transport := s.http.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(version == "HTTP/1.1")
	transport.Protocols.SetHTTP2(version == "HTTP/2.0")
	s.run(t)
	return s
}

func certify(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	signed, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	for name, raw := range map[string][]byte{cert: certificate, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return cert, key, pool
}

// TestTLS uploads, reads and takes over as without TLS, in both versions of HTTP.
func TestTLS(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			s := encrypted(t, version)
			resp, err := s.http.Do(s.request(t, "GET", "/", nil, 0))
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); resp.Proto != version {
				t.Errorf("spoke %s, want %s", resp.Proto, version)
			}
			film := content{size: 40<<20 + 5, head: movie}
			location := s.create(t, "/videos/", film.size)
			s.send(t, location, film, 0, 17<<20+3)
			offset := s.takeOver(t, location, film, 17<<20+3, 20<<20)
			s.send(t, location, film, offset, film.size)
			s.checkContent(t, location, film)

			text := s.create(t, "/videos/", film.size) // refused in mid-body
			if r := s.patch(t, text, 0, content{size: film.size}.part(0, film.size), film.size); r.status != http.StatusUnsupportedMediaType {
				t.Errorf("no film: got %d %s, want 415", r.status, r.body)
			}
			if r := s.do(t, "HEAD", location, protocol); r.status != http.StatusOK {
				t.Errorf("after the refusal: got %d, want 200", r.status)
			}
		})
	}
}

// takeOver has a request stand still at upTo, and another ask for the offset: it must get it, and the first an answer that
// clients try again after. How much has arrived by then nobody knows.
func (s *server) takeOver(t *testing.T, location string, file content, offset, upTo int64) int64 {
	t.Helper()
	body, more := io.Pipe()
	defer more.Close()
	req := s.request(t, "PATCH", location, body, file.size-offset, protocol, chunkType, "Upload-Offset: "+strconv.FormatInt(offset, 10))
	answer := make(chan int, 1)
	go func() {
		resp, err := s.http.Do(req)
		if err != nil {
			answer <- 0 // the connection may go before the answer is read
			return
		}
		resp.Body.Close()
		answer <- resp.StatusCode
	}()
	if _, err := io.Copy(more, file.part(offset, upTo)); err != nil {
		t.Fatal(err)
	}
	got := s.offset(t, location)
	if got < offset || got > upTo {
		t.Errorf("offset is %d, want %d to %d", got, offset, upTo)
	}
	if status := <-answer; status != http.StatusLocked && status != 0 {
		t.Errorf("the request that stood still: got %d, want 423", status)
	}
	return got
}
