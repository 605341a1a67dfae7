package main

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sluice/internal/config"
	"sluice/internal/finish"
	"sluice/internal/handlers"
	"sluice/internal/store"
	"sluice/internal/upload"
	"sluice/web"
)

// app is every part of the server, joined. Read build from top to bottom to follow the data: store, finish, handlers.
type app struct {
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

	// Where the bytes go: a store for each profile, judging heads as they arrive.
	storeMetrics, promises := store.NewMetrics(), new(store.Promises)
	registry.MustRegister(storeMetrics.Collectors()...)
	var endpoints []handlers.Endpoint
	var lanes []finish.Lane
	for _, profile := range cfg.Profiles {
		files, err := store.Open(storeOptions(cfg, profile, storeMetrics, promises, log))
		if err != nil {
			return a, fmt.Errorf("profile %s: %w", profile.Name, err)
		}
		a.stores = append(a.stores, files)
		endpoints = append(endpoints, handlers.Endpoint{Profile: profile, Store: files})
		lanes = append(lanes, finish.Lane{Profile: profile, Store: files})
	}
	registry.MustRegister(store.Disks(a.stores))
	a.sweeper = store.NewSweeper(a.stores, log)

	// What happens to complete uploads: whole ones are processed, streamed ones are let through.
	finishMetrics := finish.NewMetrics()
	registry.MustRegister(finishMetrics.Collectors()...)
	a.pipeline = finish.New(finish.Options{Lanes: lanes, ImageMemory: cfg.ImageMemory, Metrics: finishMetrics, Logger: log})

	// How clients reach both.
	data, err := realPath(cfg.Data)
	if err != nil {
		return a, err
	}
	a.handlers, err = handlers.New(handlers.Options{
		Endpoints: endpoints, Finisher: a.pipeline, Sweep: a.sweeper.Sweep, Data: data, Page: web.Handler(), PublicURL: cfg.PublicURL, CORSOrigins: cfg.CORSOrigins,
		MaxUploads: cfg.MaxUploads, IdleTimeout: cfg.IdleTimeout, Registry: registry, Logger: log,
	})
	return a, err
}

func storeOptions(cfg config.Config, profile upload.Profile, metrics *store.Metrics, promises *store.Promises, log *slog.Logger) store.Options {
	return store.Options{
		Dir: profile.Dir, Profile: profile.Name, Flat: profile.Flat, Variants: profile.VariantNames(), Durable: cfg.Durability == "always",
		Reserve: cfg.Reserve, MaxBytes: profile.MaxBytes, Lifetime: profile.Lifetime, Retention: profile.Retention,
		KeepParts: profile.KeepParts, Direct: finish.Direct(profile), Promises: promises, Judge: finish.Judge(profile), Metrics: metrics, Logger: log,
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
	return errors.Join(errs...)
}
