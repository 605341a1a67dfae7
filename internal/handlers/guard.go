package handlers

import (
	"errors"
	"io"

	"sluice/internal/upload"
)

// errClientGone: the body ended before its end, by the client's doing or the network's.
var errClientGone = errors.New("client went away")

// guarded is a body on its way to the store: what tusd hands over, with the errors that tusd keeps to itself put back, so
// that the store sees io.EOF only at a true end.
type guarded struct {
	src io.Reader // tusd's body reader
	req *request
	n   int64 // bytes handed on
}

// Below is the connection that the body comes from, for the store alone to know what it can do; nil if the body's bytes are
// looked at on their way, or are not simply what the connection brings next.
func (g *guarded) Below() any {
	if g.req.checksum != nil || g.req.body.length <= 0 || g.req.outer.ProtoMajor != 1 || g.req.outer.TLS != nil {
		return nil
	}
	return g.req.outer.Context().Value(connKey{})
}

func (g *guarded) Read(p []byte) (int, error) {
	if err := g.req.interrupted(); err != nil {
		return 0, err
	}
	n, err := g.src.Read(p)
	g.n += int64(n)
	if g.req.checksum != nil {
		g.req.checksum.hash.Write(p[:n]) // never fails
	}
	if err == nil {
		return n, nil
	}
	return n, g.trueError()
}

// trueError tells why tusd said that the body is at its end.
func (g *guarded) trueError() error {
	body := g.req.body
	switch cause := g.req.interrupted(); {
	case cause != nil:
		return cause
	case body.n > g.n:
		return upload.ErrTooLarge // tusd read one byte more than it passed on: the body is longer than the upload
	case body.err != nil && body.err != io.EOF:
		return errors.Join(errClientGone, body.err)
	default:
		return io.EOF
	}
}
