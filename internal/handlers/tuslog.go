package handlers

import (
	"context"
	"log/slog"

	xslog "golang.org/x/exp/slog"
)

// tusdLogger passes what tusd logs to ours, at debug level: every request has a line of its own already. tusd takes a logger
// of another package than everybody else, hence the detour.
func tusdLogger(to *slog.Logger) *xslog.Logger { return xslog.New(tusdLog{to}) }

type tusdLog struct{ to *slog.Logger }

func (l tusdLog) Enabled(ctx context.Context, _ xslog.Level) bool {
	return l.to.Enabled(ctx, slog.LevelDebug)
}

func (l tusdLog) Handle(ctx context.Context, rec xslog.Record) error {
	var args []any
	rec.Attrs(func(a xslog.Attr) bool {
		args = append(args, a.Key, a.Value.String())
		return true
	})
	l.to.DebugContext(ctx, "tusd: "+rec.Message, args...)
	return nil
}

// WithAttrs costs something: tusd calls it for every request.
func (l tusdLog) WithAttrs(attrs []xslog.Attr) xslog.Handler {
	if !l.to.Enabled(context.Background(), slog.LevelDebug) {
		return l // nobody will see them
	}
	args := make([]any, 0, 2*len(attrs))
	for _, a := range attrs {
		args = append(args, a.Key, a.Value.String())
	}
	return tusdLog{l.to.With(args...)}
}

func (l tusdLog) WithGroup(name string) xslog.Handler { return tusdLog{l.to.WithGroup(name)} }
