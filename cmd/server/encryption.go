package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// streamWindow is how much of a body may be on its way in HTTP/2 before the server has taken any: enough for 160 Mbit/s
	// at a round trip of 100 ms. A connection has as much for all its streams, so that it costs no more memory than one.
	streamWindow = 2 << 20
	// frameBytes is the largest piece of a body in HTTP/2. The smallest that there is, and the default, is 16 KiB.
	frameBytes = 256 << 10
	// lookAgain is how often the files of a certificate are looked at.
	lookAgain = time.Minute
)

// http2Windows are fit for uploads.
func http2Windows() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxReceiveBufferPerStream: streamWindow, MaxReceiveBufferPerConnection: streamWindow, MaxReadFrameSize: frameBytes,
	}
}

// newEncryption is TLS by a certificate and its key, in files of PEM; nil without. A certificate that is renewed is taken at
// the next connection, a minute later at most; one that is no good leaves the old one.
func newEncryption(cert, key string, log *slog.Logger) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	c := &certificate{cert: cert, key: key, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

// certificate is what its files held last. All methods may be called concurrently.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	times  [2]time.Time // of the files, when they were read
	looked time.Time
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookAgain {
		return c.pair, nil
	}
	c.looked = time.Now()
	if c.modified() == c.times {
		return c.pair, nil
	}
	if err := c.load(); err != nil {
		c.log.Error("the certificate has changed and is no good: the old one stays", "err", err)
	}
	return c.pair, nil
}

func (c *certificate) load() error {
	times := c.modified()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.pair, c.times, c.looked = &pair, times, time.Now()
	return nil
}

// modified are the times of the files; zero where there is none.
func (c *certificate) modified() (times [2]time.Time) {
	for i, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			times[i] = info.ModTime()
		}
	}
	return times
}
