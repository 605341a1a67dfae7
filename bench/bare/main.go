// Command bare is the least that a server of Sluice's shape can do: tusd's handler takes what clients send, net/http alone answers
// HEAD and GET, a record is written once, beside the content, and what is known of an upload is taken from memory. It has no states, types,
// owners, limits, timeouts, events, metrics or log, and finds nothing again when it starts. So what it costs is the part of Sluice's
// cost that is the kernel's, net/http's and tusd's.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"golang.org/x/exp/slog"
	"golang.org/x/sys/unix"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where clients come in")
	dir := flag.String("data", ".", "where the files go")
	durable := flag.Bool("sync", false, "sync the content of an upload when it is complete, and nothing else")
	flag.Parse()
	if err := serve(*listen, &store{dir: *dir, durable: *durable, uploads: make(map[string]*upload)}); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func serve(listen string, s *store) error {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	composer := handler.NewStoreComposer()
	composer.UseCore(s)
	memorylocker.New().UseIn(composer)
	silent := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	tus, err := handler.NewUnroutedHandler(handler.Config{StoreComposer: composer, BasePath: "/files/", Logger: silent})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /files/", tus.Middleware(http.HandlerFunc(tus.PostFile)))
	mux.Handle("PATCH /files/{id}", http.StripPrefix("/files/", tus.Middleware(http.HandlerFunc(tus.PatchFile))))
	mux.HandleFunc("HEAD /files/{id}", s.head)
	mux.HandleFunc("GET /files/{id}", s.get)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	return http.Serve(l, mux)
}

// store keeps content and records in files, and what it goes by in memory.
type store struct {
	dir     string
	durable bool

	mu      sync.Mutex
	uploads map[string]*upload
}

type upload struct {
	*store
	mu   sync.Mutex
	info handler.FileInfo
}

func (s *store) NewUpload(_ context.Context, info handler.FileInfo) (handler.Upload, error) {
	var id [16]byte
	rand.Read(id[:])
	info.ID = hex.EncodeToString(id[:])
	u := &upload{store: s, info: info}
	record, err := json.Marshal(info)
	if err == nil {
		err = s.write(info.ID+".info", record)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[info.ID] = u
	return u, nil
}

// open does what os.OpenFile does, but for the system calls to find out that a file cannot be polled.
func (s *store) open(name string) (fd int, err error) {
	return unix.Open(filepath.Join(s.dir, name), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o640)
}

func (s *store) write(name string, data []byte) error {
	fd, err := s.open(name)
	if err != nil {
		return err
	}
	_, err = unix.Pwrite(fd, data, 0)
	return errors.Join(err, unix.Close(fd))
}

func (s *store) GetUpload(_ context.Context, id string) (handler.Upload, error) {
	if u := s.find(id); u != nil {
		return u, nil
	}
	return nil, handler.ErrNotFound
}

func (s *store) find(id string) *upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploads[id]
}

// The size of a write is what counts for ext4; a small upload needs no more than it has.
var small, large = pool(32 << 10), pool(1 << 20)

func pool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { buf := make([]byte, size); return &buf }}
}

func (u *upload) WriteChunk(_ context.Context, offset int64, src io.Reader) (n int64, err error) {
	p := large
	if u.info.Size <= 32<<10 {
		p = small
	}
	fd, err := u.open(u.info.ID)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	buf := p.Get().(*[]byte)
	defer p.Put(buf)
	for err == nil {
		var got int
		got, err = io.ReadFull(src, *buf)
		for done := 0; done < got; {
			wrote, failed := unix.Pwrite(fd, (*buf)[done:got], offset+n)
			if failed != nil {
				return n, failed
			}
			done, n = done+wrote, n+int64(wrote)
		}
	}
	u.mu.Lock()
	u.info.Offset = offset + n
	u.mu.Unlock()
	if u.durable && offset+n == u.info.Size {
		if failed := unix.Fdatasync(fd); failed != nil {
			return n, failed
		}
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

func (u *upload) GetInfo(context.Context) (handler.FileInfo, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.info, nil
}

func (u *upload) GetReader(context.Context) (io.ReadCloser, error) {
	return os.Open(filepath.Join(u.dir, u.info.ID))
}

func (u *upload) FinishUpload(context.Context) error { return nil }

func (s *store) head(w http.ResponseWriter, r *http.Request) {
	u := s.find(path.Base(r.URL.Path))
	if u == nil {
		http.NotFound(w, r)
		return
	}
	info, _ := u.GetInfo(r.Context())
	h := w.Header()
	h["Tus-Resumable"] = []string{"1.0.0"}
	h["Cache-Control"] = []string{"no-store"}
	h["Upload-Offset"] = []string{strconv.FormatInt(info.Offset, 10)}
	h["Upload-Length"] = []string{strconv.FormatInt(info.Size, 10)}
}

func (s *store) get(w http.ResponseWriter, r *http.Request) {
	u := s.find(path.Base(r.URL.Path))
	if u == nil {
		http.NotFound(w, r)
		return
	}
	f, err := os.Open(filepath.Join(s.dir, u.info.ID))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f)
}
