package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate makes a certificate for this machine, with that serial number.
func writeCertificate(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestRenewedCertificateIsTaken(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	files := &certificate{log: slog.New(slog.NewTextHandler(&log, nil))}
	files.cert, files.key = writeCertificate(t, dir, 1)
	if err := files.load(); err != nil {
		t.Fatal(err)
	}
	check := func(want int64) {
		t.Helper()
		pair, err := files.get(nil)
		if err != nil || pair.Leaf.SerialNumber.Int64() != want {
			t.Errorf("got certificate %v, %v, want %d", pair.Leaf.SerialNumber, err, want)
		}
	}
	change := func() { // as if a minute had passed since
		files.looked = time.Time{}
		for _, name := range []string{files.cert, files.key} {
			if err := os.Chtimes(name, time.Time{}, files.times[0].Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	writeCertificate(t, dir, 2)
	check(1) // not looked at yet
	change()
	check(2)
	if err := os.WriteFile(files.cert, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	change()
	check(2)
	if !strings.Contains(log.String(), "the old one stays") {
		t.Errorf("the log says %q", log.String())
	}
}

func TestBadCertificateStopsTheStart(t *testing.T) {
	cert, key := writeCertificate(t, t.TempDir(), 1)
	if _, err := newEncryption(cert, cert, nil); err == nil {
		t.Error("a certificate was taken for its key")
	}
	if c, err := newEncryption(cert, key, nil); err != nil || c == nil {
		t.Errorf("got %v, %v", c, err)
	}
	if c, err := newEncryption("", "", nil); err != nil || c != nil {
		t.Errorf("without one: got %v, %v", c, err)
	}
}
