package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/config"
	"sluice/internal/handlers"
	"sluice/internal/splice"
)

const (
	// headerWithin bounds how long a client may take to say what it wants. Bodies are bounded by the idle timeout alone.
	headerWithin = 10 * time.Second
	// maxHeader is far above what an upload's metadata may hold.
	maxHeader = 64 << 10
)

// serve runs the server until ctx ends, then stops it in order: no new connections; requests that receive bytes are told to
// stop, and what they have is stored; processing ends; the stores are marked as cleanly left.
func serve(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) error {
	log := newLogger(cfg, stderr)
	public, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	defer public.Close()
	private, err := net.Listen("tcp", cfg.PrivateListen)
	if err != nil {
		return err
	}
	defer private.Close()

	encryption, err := newEncryption(cfg.TLSCert, cfg.TLSKey, log)
	if err != nil {
		return err
	}

	// Clients that come while stores are repaired wait in the listener's queue: nobody is told that an upload is gone.
	a, err := build(cfg, log)
	if err != nil {
		return err
	}
	limitMemory(cfg.ImageMemory)
	recovered := a.pipeline.Recover()
	if cfg.SweepInterval > 0 {
		a.sweeper.Start(recovered, cfg.SweepInterval)
	}
	servers := []*http.Server{newServer(a.handlers.Public, cfg, log), newServer(a.handlers.Private, cfg, log)}
	servers[0].ConnState, servers[0].HTTP2, servers[0].TLSConfig = countConnections(a.open), http2Windows(), encryption
	if encryption == nil {
		servers[0].ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			return handlers.WithConn(ctx, conn.(*limitedConn).Conn)
		}
	}
	failed := make(chan error, len(servers))
	go func() {
		listener := newLimit(public.(*net.TCPListener), cfg.MaxConnections, splice.NewPipes(maxPipes(cfg.Splice)))
		failed <- servePublic(servers[0], listener)
	}()
	go func() { failed <- servers[1].Serve(private) }()
	announce(cfg, public.Addr(), private.Addr(), stdout, log)

	select {
	case err = <-failed:
	case <-ctx.Done():
		log.Info("stopping")
	}
	a.handlers.Drain()
	err = errors.Join(err, shutdown(servers, cfg.ShutdownTimeout, log))
	a.handlers.Wait()
	err = errors.Join(err, a.close())
	log.Info("stopped")
	return err
}

// pipes is how many connections may be spliced at once, with a pipe of 1 MiB each; others copy, with as much memory. A user who is not root may
// have 64 of those, and needs pipes for other things.
const pipes = 60

func maxPipes(splice bool) int {
	if splice {
		return pipes
	}
	return 0
}

// shutdown ends the servers, at the latest after timeout.
func shutdown(servers []*http.Server, timeout time.Duration, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	for _, s := range servers {
		err := s.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			log.Warn("connections still open after the shutdown timeout are closed")
			err = s.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func newServer(h http.Handler, cfg config.Config, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: min(headerWithin, cfg.IdleTimeout), IdleTimeout: cfg.IdleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what net/http says is about single connections
	}
}

// servePublic serves with TLS if s has it.
func servePublic(s *http.Server, l net.Listener) error {
	if s.TLSConfig == nil {
		return s.Serve(l)
	}
	return s.ServeTLS(l, "", "")
}

func countConnections(open prometheus.Gauge) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Inc()
		case http.StateClosed, http.StateHijacked:
			open.Dec()
		}
	}
}

// announce tells the person at the terminal where to go, and the log where everything is.
func announce(cfg config.Config, public, private net.Addr, stdout io.Writer, log *slog.Logger) {
	page := "http://" + reachable(public.String()) + "/"
	if cfg.TLSCert != "" {
		page = "https://" + reachable(public.String()) + "/"
	}
	if cfg.PublicURL != nil {
		page = cfg.PublicURL.String() + "/"
	}
	fmt.Fprintf(stdout, "Sluice is ready: open %s\nFor its operator:     http://%s/metrics, /healthz, /readyz\n", page, reachable(private.String()))
	log.Info("ready", "version", version, "public", public.String(), "private", private.String(), "data", cfg.Data, "durability", cfg.Durability)
	if addr, ok := private.(*net.TCPAddr); ok && !addr.IP.IsLoopback() {
		log.Warn("the private listener can be reached from other machines: see that only the operator's can", "private", private.String())
	}
}

func newLogger(cfg config.Config, to io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, opts))
	}
	return slog.New(slog.NewTextHandler(to, opts))
}
