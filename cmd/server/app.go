package main

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sluice/internal/config"
	"sluice/internal/events"
	"sluice/internal/finish"
	"sluice/internal/handlers"
	"sluice/internal/media"
	"sluice/internal/store"
	"sluice/internal/upload"
	"sluice/web"
)

// app is every part of the server, joined. Read build from top to bottom to follow the data: store, finish, handlers. What happens
// on the way is told by the outbox and the hub.
type app struct {
	hub      *events.Hub
	outbox   *outbox
	stores   []*store.File
	sweeper  *store.Sweeper
	pipeline *finish.Pipeline
	handlers *handlers.Handlers
	open     prometheus.Gauge // public connections
}

// build makes the parts. What is made is closed again if a later part fails.
func build(cfg config.Config, log *slog.Logger) (a *app, err error) {
	a = &app{}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	registry := prometheus.NewRegistry()
	a.open = prometheus.NewGauge(prometheus.GaugeOpts{Name: "tusd_connections_open", Help: "Public connections open now."})
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), a.open, buildInfo())

	// Who is told of what happens.
	data, err := realPath(cfg.Data)
	if err != nil {
		return a, err
	}
	a.hub = events.NewHub(address(cfg))
	eventMetrics := events.NewMetrics()
	registry.MustRegister(eventMetrics.Collectors()...)
	if a.outbox, err = openOutbox(cfg, a.hub, eventMetrics, log); err != nil {
		return a, err
	}
	registry.MustRegister(a.outbox)

	// Where the bytes go: a store for each profile, judging heads as they arrive.
	storeMetrics, promises := store.NewMetrics(), new(store.Promises)
	registry.MustRegister(storeMetrics.Collectors()...)
	var endpoints []handlers.Endpoint
	var lanes []finish.Lane
	for _, profile := range cfg.Profiles {
		options := storeOptions(cfg, profile, storeMetrics, promises, log)
		options.Record = a.record
		files, err := store.Open(options)
		if err != nil {
			return a, fmt.Errorf("profile %s: %w", profile.Name, err)
		}
		a.stores = append(a.stores, files)
		endpoints = append(endpoints, handlers.Endpoint{Profile: profile, Store: files})
		lanes = append(lanes, finish.Lane{Profile: profile, Store: files})
	}
	registry.MustRegister(store.Disks(a.stores))
	if err := a.reconcile(); err != nil {
		return a, err
	}
	a.sweeper = store.NewSweeper(a.stores, log)

	// What happens to complete uploads: whole ones are processed, streamed ones are let through.
	finishMetrics := finish.NewMetrics()
	registry.MustRegister(finishMetrics.Collectors()...)
	a.pipeline = finish.New(finish.Options{Lanes: lanes, ImageMemory: cfg.ImageMemory, Converter: newConverter(cfg, log), Lend: newLender(), Metrics: finishMetrics, Logger: log})

	// How clients reach both.
	a.handlers, err = handlers.New(handlers.Options{
		Endpoints: endpoints, Finisher: a.pipeline, Sweep: a.sweeper.Sweep, Replay: a.replay, List: a.list, Recording: a.outbox.Check,
		Listen: a.listen, ShowEvents: showEvents(cfg), ShowLevel: cfg.ShowLevel, Data: data, Page: web.Handler(), PublicURL: cfg.PublicURL, CORSOrigins: cfg.CORSOrigins, OwnerHeader: cfg.OwnerHeader,
		MaxUploads: cfg.MaxUploads, IdleTimeout: cfg.IdleTimeout, Registry: registry, Logger: log,
	})
	return a, err
}

// newConverter returns what reads HEIC and AVIF, nil if there is nothing, and says so.
func newConverter(cfg config.Config, log *slog.Logger) *media.Converter {
	if cfg.Vipsthumbnail == "" {
		log.Info("HEIC and AVIF pictures are refused: no vipsthumbnail")
		return nil
	}
	converter, err := media.NewConverter(cfg.Vipsthumbnail, log)
	if err != nil {
		log.Warn("HEIC and AVIF pictures are refused", "err", err)
		return nil
	}
	log.Info("HEIC and AVIF pictures are read", "by", cfg.Vipsthumbnail)
	return converter
}

func storeOptions(cfg config.Config, profile upload.Profile, metrics *store.Metrics, promises *store.Promises, log *slog.Logger) store.Options {
	return store.Options{
		Dir: profile.Dir, Profile: profile.Name, Flat: profile.Flat, Variants: profile.VariantNames(), Durable: cfg.Durability == "always",
		Reserve: cfg.Reserve, MaxBytes: profile.MaxBytes, Lifetime: profile.Lifetime, Retention: profile.Retention,
		KeepParts: profile.KeepParts, PerOwner: profile.PerOwner, KeepRejected: profile.KeepRejected, Digest: profile.Digest, Direct: finish.Direct(profile), Promises: promises, Judge: finish.Judge(profile), Metrics: metrics, Logger: log,
	}
}

func buildInfo() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_build_info", Help: "Which version runs; the value is 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}

// close ends the parts in the opposite order of the data's way. Nothing may be served any more.
func (a *app) close() error {
	if a.sweeper != nil {
		a.sweeper.Close()
	}
	if a.pipeline != nil {
		a.pipeline.Close()
	}
	var errs []error
	for _, files := range a.stores {
		errs = append(errs, files.Close())
	}
	if a.outbox != nil {
		errs = append(errs, a.outbox.Close())
	}
	if a.hub != nil {
		a.hub.Close()
	}
	return errors.Join(errs...)
}
