package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
)

// overHTTP2 sends one upload in PATCHes of chunk bytes over HTTP/2. Go's client costs about as much as a server: what it
// shows is less than what the servers can do.
func overHTTP2(size, chunk int64) func(*trial) error {
	return func(t *trial) error {
		k, err := t.dial()
		if err != nil {
			return err
		}
		defer k.Close()
		u, err := k.create(0, size, 0)
		if err != nil {
			return err
		}
		var only http.Protocols
		only.SetHTTP2(true)
		transport := &http.Transport{TLSClientConfig: t.tls.Clone(), Protocols: &only}
		defer transport.CloseIdleConnections()
		err = t.timed(work{bytes: size, count: int((size + chunk - 1) / chunk)}, func() error {
			for off := int64(0); off < size; off += chunk {
				if err := t.patch2(transport, u, off, min(chunk, size-off)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return t.verify([]upload{u}) // the first connection may have been idle for too long
	}
}

func (t *trial) patch2(transport *http.Transport, u upload, off, n int64) error {
	body := bytes.NewReader(t.source.data[u.base+off : u.base+off+n])
	request, err := http.NewRequestWithContext(t.ctx, http.MethodPatch, "https://"+t.address+u.path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Tus-Resumable", "1.0.0")
	request.Header.Set("Content-Type", "application/offset+octet-stream")
	request.Header.Set("Upload-Offset", strconv.FormatInt(off, 10))
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != 204 || answer.ProtoMajor != 2 {
		return fmt.Errorf("%s, status %d", answer.Proto, answer.StatusCode)
	}
	return nil
}
