package crash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const checksumKey = "Upload-Checksum"

// checksum says what is told about a chunk's bytes.
type checksum int

const (
	unchecked checksum = iota
	right
	wrong // the bytes are others than those that the checksum is of
)

// chunk is what one request carries of an upload.
type chunk struct {
	from, to int64
	chunked  bool // in chunked transfer encoding
	sum      checksum
	trailer  bool          // the checksum comes after the bytes
	declare  bool          // says the length that was deferred
	extra    int64         // bytes beyond the end of the upload
	rivalled bool          // somebody else may be sending too
	pause    time.Duration // that the client makes in the middle
}

// body hands out a chunk, and has the upload note what is on its way.
type body struct {
	io.Reader
	u  *upload
	k  chunk
	at int64
}

func (k chunk) body(u *upload) io.Reader {
	file := u.file
	if k.sum == wrong {
		file = file.other()
	}
	r := &body{Reader: io.NewSectionReader(file, k.from, k.to-k.from), u: u, k: k, at: k.from}
	if k.extra == 0 {
		return r
	}
	return io.MultiReader(r, bytes.NewReader(make([]byte, k.extra)))
}

func (b *body) Read(p []byte) (int, error) {
	if middle := (b.k.from + b.k.to) / 2; b.at >= middle {
		time.Sleep(b.k.pause) // the client is slow, so that kills come in the middle
		b.k.pause = 0
	} else {
		p = p[:min(int64(len(p)), middle-b.at)]
	}
	n, err := b.Reader.Read(p)
	b.at += int64(n)
	switch b.k.sum {
	case unchecked:
		b.u.send(b.at)
	case right:
		if b.at == b.k.to {
			b.u.send(b.at) // all of it counts or nothing
		}
	}
	return n, err
}

// fill puts the chunk into a request.
func (k chunk) fill(q *request, u *upload) {
	if k.to > k.from || q.method == http.MethodPatch {
		q.header = append(q.header, "Content-Type: application/offset+octet-stream")
	}
	if k.to > k.from {
		q.body, q.length = k.body(u), k.to-k.from
	}
	if k.chunked || k.trailer || k.extra > 0 {
		q.length = -1
	}
	if k.declare {
		q.header = append(q.header, "Upload-Length: "+strconv.FormatInt(u.file.size, 10))
	}
	q.frail = k.extra > 0 || k.rivalled || u.kind.refusable // what a server does not want it need not read
	switch digest := k.digest(u.file); {
	case k.sum == unchecked:
	case k.trailer:
		q.trailer = digest
	default:
		q.header = append(q.header, checksumKey+": "+digest)
	}
}

// digest is what Upload-Checksum says.
func (k chunk) digest(file content) string {
	if k.sum == unchecked {
		return ""
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, k.from, k.to-k.from)); err != nil {
		panic(err) // there is none
	}
	return "sha256 " + base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

// wants is the status that a chunk should be answered with, where good is that of one which is taken.
func (k chunk) wants(good int) int {
	switch {
	case k.sum == wrong:
		return 460
	case k.extra > 0:
		return http.StatusRequestEntityTooLarge
	}
	return good
}

// create announces an upload, with its first chunk.
func (c *client) create(ctx context.Context, u *upload, k chunk) error {
	q := request{method: http.MethodPost, path: u.kind.profile.path, header: u.announcement()}
	k.fill(&q, u)
	before := u.begin(k)
	u.ask(&u.made)
	a, err := c.ask(ctx, q)
	if err != nil {
		return err
	}
	location := a.header.Get("Location")
	if !strings.HasPrefix(location, q.path) || len(location) == len(q.path) {
		return c.wrong(u, "POST: got %d without a location (%q) %s", a.status, location, a.body)
	}
	u.found(location)
	return c.judge(ctx, u, before, k, a, http.StatusCreated)
}

// announcement is what the header of a POST says about an upload.
func (u *upload) announcement() []string {
	header := []string{"Upload-Metadata: " + u.metadata}
	if u.concat != "" {
		header = append(header, "Upload-Concat: "+u.concat)
	}
	switch {
	case u.parts != nil: // its length follows from theirs
		return header
	case u.kind.deferred:
		return append(header, "Upload-Defer-Length: 1")
	}
	return append(header, "Upload-Length: "+strconv.FormatInt(u.file.size, 10))
}

// patch sends a chunk.
func (c *client) patch(ctx context.Context, u *upload, k chunk) error {
	if c.rand.IntN(4) == 0 {
		k.pause = time.Duration(c.rand.Int64N(int64(80 * time.Millisecond)))
	}
	before := u.begin(k)
	a, err := c.ask(ctx, k.request(u))
	if err != nil {
		return err
	}
	return c.judge(ctx, u, before, k, a, http.StatusNoContent)
}

func (k chunk) request(u *upload) request {
	q := request{method: http.MethodPatch, path: u.at(), header: []string{"Upload-Offset: " + strconv.FormatInt(k.from, 10)}}
	k.fill(&q, u)
	return q
}

// judge checks the answer to a chunk, and learns from it.
func (c *client) judge(ctx context.Context, u *upload, before known, k chunk, a answer, good int) error {
	want := k.wants(good)
	overtaken := k.rivalled && (a.status == http.StatusConflict || a.status == http.StatusLocked)
	refused := u.kind.refusable && (a.status == http.StatusUnsupportedMediaType || a.status == http.StatusUnprocessableEntity)
	s, err := standingOf(a.header)
	switch {
	case err != nil:
		return c.wrong(u, "chunk %+v: %v", k, err)
	case a.status != want && !refused && !overtaken:
		return c.wrong(u, "chunk %+v: got %d %s, want %d", k, a.status, a.body, want)
	case refused && s.state != rejected:
		return c.wrong(u, "chunk %+v: got %d with state %q", k, a.status, s.state)
	}
	if err := u.learn(before, s); err != nil {
		return c.wrong(u, "answer %d to chunk %+v: %v", a.status, k, err)
	}
	switch {
	case refused, overtaken:
		return nil
	case want != good:
		return c.checkTakenBack(ctx, u, k)
	case s.offset != k.to && (k.to > k.from || good == http.StatusNoContent):
		return c.wrong(u, "chunk %+v: got %d with Upload-Offset %d, want %d", k, a.status, s.offset, k.to)
	}
	if k.declare {
		u.set(&u.declared, yes)
	}
	u.settle()
	return nil
}

// checkTakenBack sees that nothing counts of a chunk that was refused.
func (c *client) checkTakenBack(ctx context.Context, u *upload, k chunk) error {
	offset, err := c.head(ctx, u)
	if err == nil && offset != k.from {
		return c.wrong(u, "chunk %+v was refused, and the offset is %d", k, offset)
	}
	return err
}

// standingOf reads what the header of an answer says.
func standingOf(h http.Header) (standing, error) {
	s := standing{offset: untold, state: h.Get("Sluice-State")}
	text := h.Get("Upload-Offset")
	if text == "" {
		return s, nil
	}
	var err error
	if s.offset, err = strconv.ParseInt(text, 10, 64); err != nil {
		return s, fmt.Errorf("Upload-Offset %q", text)
	}
	return s, nil
}
