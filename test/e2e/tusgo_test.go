package e2e

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/bdragon300/tusgo"
)

func newTusgo(t *testing.T, s *server) *tusgo.Client {
	t.Helper()
	base, err := url.Parse("http://" + s.public + "/files/")
	if err != nil {
		t.Fatal(err)
	}
	client := tusgo.NewClient(s.http, base)
	if _, err := client.UpdateCapabilities(); err != nil {
		t.Fatal(err)
	}
	return client
}

// TestTusgoUploadsInChunks sends a file in chunks, the server being killed between two of them.
func TestTusgoUploadsInChunks(t *testing.T) {
	s := start(t)
	client := newTusgo(t, s)
	file := content{size: 5<<20 + 77}
	upload := tusgo.Upload{}
	if _, err := client.CreateUpload(&upload, file.size, false, map[string]string{"filename": "a.bin"}); err != nil {
		t.Fatal(err)
	}
	stream := tusgo.NewUploadStream(client, &upload)
	stream.ChunkSize = 1 << 20
	if _, err := stream.ReadFrom(file.part(0, 2<<20)); err != nil {
		t.Fatal(err)
	}
	s.kill()
	s.run(t)
	resumeTusgo(t, client, upload.Location, file)
	s.checkContent(t, upload.Location, file)
}

// TestTusgoResumesCutBody sends a file in one request, whose source fails in the middle.
func TestTusgoResumesCutBody(t *testing.T) {
	s := start(t)
	client := newTusgo(t, s)
	file := content{size: 3 << 20}
	upload := tusgo.Upload{}
	if _, err := client.CreateUpload(&upload, file.size, false, nil); err != nil {
		t.Fatal(err)
	}
	stream := tusgo.NewUploadStream(client, &upload)
	stream.ChunkSize = tusgo.NoChunked
	cut := errors.New("cut")
	if _, err := stream.ReadFrom(io.MultiReader(file.part(0, 1<<20), &failing{t, s, cut})); !errors.Is(err, cut) {
		t.Fatalf("got %v, want the error of the source", err)
	}
	if offset := s.offset(t, upload.Location); offset == 0 || offset > 1<<20 {
		t.Errorf("%d bytes kept of %d sent", offset, 1<<20)
	}
	resumeTusgo(t, client, upload.Location, file)
	s.checkContent(t, upload.Location, file)
}

// failing is a source that has nothing but an error, and that only when the server has begun to write what came before:
// else who asks for the offset might overtake the request.
type failing struct {
	t   *testing.T
	s   *server
	err error
}

func (f *failing) Read([]byte) (int, error) {
	await(f.t, "the server writes", func() bool { return f.s.metric(f.t, "sluice_received_bytes_total") > 0 })
	return 0, f.err
}

// resumeTusgo goes on as a new process would, which knows the location and nothing else.
func resumeTusgo(t *testing.T, client *tusgo.Client, location string, file content) {
	t.Helper()
	upload := tusgo.Upload{}
	if _, err := client.GetUpload(&upload, location); err != nil {
		t.Fatal(err)
	}
	if upload.RemoteSize != file.size {
		t.Fatalf("the upload's length is %d, want %d", upload.RemoteSize, file.size)
	}
	stream := tusgo.NewUploadStream(client, &upload)
	if _, err := stream.ReadFrom(file.part(upload.RemoteOffset, file.size)); err != nil {
		t.Fatal(err)
	}
	if stream.Tell() != file.size {
		t.Errorf("the client is at %d of %d", stream.Tell(), file.size)
	}
}

// TestTusgoDefersLength creates an upload of unknown length and tells it with the first bytes.
func TestTusgoDefersLength(t *testing.T) {
	s := start(t)
	client := newTusgo(t, s)
	file := content{size: 3<<20 + 1}
	upload := tusgo.Upload{}
	if _, err := client.CreateUpload(&upload, tusgo.SizeUnknown, false, nil); err != nil {
		t.Fatal(err)
	}
	if r := s.do(t, "HEAD", upload.Location, protocol); r.header.Get("Upload-Defer-Length") != "1" || r.header.Get("Upload-Length") != "" {
		t.Errorf("HEAD of a deferred length: got %v", r.header)
	}
	upload.RemoteSize = file.size
	stream := tusgo.NewUploadStream(client, &upload)
	stream.SetUploadSize = true
	if _, err := stream.ReadFrom(file.part(0, file.size)); err != nil {
		t.Fatal(err)
	}
	s.checkContent(t, upload.Location, file)
}

// TestTusgoCreatesWithData sends a small file with its creation, and deletes it.
func TestTusgoCreatesWithData(t *testing.T) {
	s := start(t)
	client := newTusgo(t, s)
	file := content{size: 64 << 10}
	upload := tusgo.Upload{}
	n, _, err := client.CreateUploadWithData(&upload, file.bytes(0, file.size), file.size, false, nil)
	if err != nil || n != file.size {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	s.checkContent(t, upload.Location, file)

	if _, err := client.DeleteUpload(upload); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetUpload(&tusgo.Upload{}, upload.Location); !errors.Is(err, tusgo.ErrUploadDoesNotExist) {
		t.Errorf("after its end: got %v, want %v", err, tusgo.ErrUploadDoesNotExist)
	}
	if r := s.do(t, "GET", upload.Location); r.status != http.StatusNotFound && r.status != http.StatusGone {
		t.Errorf("GET after DELETE: got %d", r.status)
	}
}
