package events

import (
	"io"
	"net/http"
	"net/netip"
)

// WithTransport has deliveries go through rt, where time is not the real one.
func WithTransport(o Options, rt http.RoundTripper) Options {
	o.transport = rt
	return o
}

// WithOpen has each endpoint keep no more than n events in memory.
func WithOpen(o Options, n int) Options {
	o.open = n
	return o
}

// Reachable tells whether an endpoint may be at addr.
func Reachable(addr netip.Addr, allowPrivate bool) bool { return reachable(addr, allowPrivate) }

// Lines returns the text of every good line.
func Lines(r io.Reader) (texts []string, damaged int, size int64, err error) {
	err = eachLine(r, func(ln line) bool {
		if size = ln.end; ln.ok {
			texts = append(texts, string(ln.text))
		} else {
			damaged++
		}
		return true
	})
	return texts, damaged, size, err
}

// AppendLine makes a good line of text.
func AppendLine(dst []byte, text string) []byte { return appendLine(dst, []byte(text)) }

// MaxOpen is how many events of an endpoint are in memory.
const MaxOpen = maxOpen

// Open is how many events of the first endpoint are in memory now.
func (b *Outbox) Open() int64 { return b.dispatchers[0].count.Load() }
