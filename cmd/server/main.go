// Sluice is a resumable upload server: tus 1.0.0, small files taken whole, large ones only streamed.
//
// Without arguments it serves: http://127.0.0.1:8080/ for everybody, http://127.0.0.1:8081/ for its operator. See --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"sluice/internal/config"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitMisuse = 2
)

func main() {
	done := paceCollector()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	done()
	os.Exit(code)
}

// run is the program: it returns the exit code, and nothing below it ends the process.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	cfg, err := config.Parse(args, getenv, stdout)
	var misuse *config.UsageError
	switch {
	case errors.Is(err, config.ErrHelp):
		return exitOK
	case errors.As(err, &misuse):
		fmt.Fprintf(stderr, "%v\nsluice --help tells what there is.\n", misuse)
		return exitMisuse
	case err == nil:
		err = command(ctx, cfg, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "sluice: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func command(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) error {
	switch cfg.Command {
	case config.Version:
		_, err := fmt.Fprintf(stdout, "sluice %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	case config.LS:
		return ls(ctx, cfg, stdout, stderr)
	case config.GC:
		return gc(ctx, cfg, stdout, stderr)
	case config.FSCK:
		return fsck(ctx, cfg, stdout, stderr)
	case config.Replay:
		return replay(ctx, cfg, stdout, stderr)
	case config.Health:
		return health(ctx, cfg.PrivateListen, stdout)
	default:
		return serve(ctx, cfg, stdout, stderr)
	}
}

// healthWithin is how long a running server may take to say that it is well.
const healthWithin = 5 * time.Second

// health asks the server whose private listener is at address.
func health(ctx context.Context, address string, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(address)+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server says %s", resp.Status)
	}
	_, err = io.Copy(stdout, io.LimitReader(resp.Body, 1<<10))
	return err
}

// reachable turns an address to listen on into one to connect to: the unspecified ones mean this machine.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
