package model

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"sluice/internal/finish"
	"sluice/internal/handlers"
	"sluice/internal/store"
	vocabulary "sluice/internal/upload"
)

// server is the real edge over real stores in a directory, on a loopback socket, joined as cmd/server joins it.
type server struct {
	profiles []profile
	dir      string
	address  string // host:port, another one after each start

	stores   []*store.File
	pipeline *finish.Pipeline
	edge     *handlers.Handlers
	http     *http.Server
	served   chan error
}

// newServer starts a server with nothing in it, which ends with t.
func newServer(t *rapid.T, profiles []profile) *server {
	dir, err := os.MkdirTemp(memory(), "sluice-model-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{profiles: profiles, dir: dir}
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	return s
}

// memory is a file system without a disk behind it, where there is one: what survives a crash is not tested here, and every
// sequence is tried many times when it fails. "" is the usual place.
func memory() string {
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err != nil || !info.IsDir() {
		return ""
	}
	return shared
}

// row is p as the server has it.
func (p profile) row() vocabulary.Profile {
	row := vocabulary.Profile{Name: p.name, Path: p.path, Lane: vocabulary.Stream, MaxBytes: p.max, Lifetime: time.Hour, Flat: !p.pictures}
	if p.pictures {
		row.Accept = []string{"image/*"}
	}
	return row
}

func (s *server) start(t *rapid.T) {
	log := slog.New(slog.DiscardHandler)
	o := handlers.Options{Page: http.NotFoundHandler(), CORSOrigins: []string{"*"}, MaxUploads: 10, IdleTimeout: patience,
		Registry: prometheus.NewRegistry(), Logger: log}
	var lanes []finish.Lane
	s.stores = nil
	for _, p := range s.profiles {
		row := p.row()
		files, err := store.Open(store.Options{Dir: s.dir + "/" + row.Name, Profile: row.Name, Flat: row.Flat, Durable: true,
			MaxBytes: row.MaxBytes, Lifetime: row.Lifetime, Direct: finish.Direct(row),
			Judge: finish.Judge(row), Metrics: store.NewMetrics(), Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		s.stores = append(s.stores, files)
		o.Endpoints = append(o.Endpoints, handlers.Endpoint{Profile: row, Store: files})
		lanes = append(lanes, finish.Lane{Profile: row, Store: files})
	}
	s.pipeline = finish.New(finish.Options{Lanes: lanes, ImageMemory: 1 << 30, Metrics: finish.NewMetrics(), Logger: log})
	s.pipeline.Recover()
	o.Finisher = s.pipeline
	edge, err := handlers.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.edge = edge
	s.serve(t)
}

func (s *server) serve(t *rapid.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.served = listener.Addr().String(), make(chan error, 1)
	s.http = &http.Server{Handler: s.edge.Public, ReadHeaderTimeout: patience}
	go func() { s.served <- s.http.Serve(listener) }()
}

// stop ends the server in the order in which the program does. Its directory stays.
func (s *server) stop(t *rapid.T) {
	s.edge.Drain()
	if err := s.http.Close(); err != nil {
		t.Error(err)
	}
	if err := <-s.served; err != http.ErrServerClosed {
		t.Error(err)
	}
	s.edge.Wait()
	s.pipeline.Close()
	for _, files := range s.stores {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	}
}
