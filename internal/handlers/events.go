package handlers

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"sluice/internal/upload"
)

// Listen begins to listen to what happens, after the notice lastID if that is not "". missed is to be told first; news is closed
// when the listener is too slow, or the server stops. The caller ends it with end.
type Listen func(lastID string) (missed []upload.Notice, news <-chan upload.Notice, end func())

const (
	// maxListeners bounds those who hold a connection for as long as they like.
	maxListeners = 1000
	// maxNamed is how many uploads one listener may name: far above what a page shows.
	maxNamed = 100
	// levelEach is how often the level is told. Where it is not, a sign of life keeps proxies from closing the connection.
	levelEach = time.Second
	aliveEach = 15 * time.Second
	// reconnectAfter is what a browser waits before it comes back.
	reconnectAfter = 2 * time.Second
)

// listener is who listens at GET /events.
type listener struct {
	h     *Handlers
	w     *response
	knows func(upload.Event) bool // the upload of an event, so that he is told all about it
	only  bool                    // such events are told and no others
}

// events streams what happens as server-sent events (HTML, "Server-sent events"): every change of state of an upload, and the
// level each second. Whoever knows an upload's address names it, ?upload={path}{id}, and is told about it alone. To others uploads are
// anonymous, unless everybody may see everything.
func (h *Handlers) events(w http.ResponseWriter, r *http.Request) {
	req := requestFrom(r.Context())
	req.route = "/events"
	if req.method != http.MethodGet {
		req.notAllowed("GET")
		return
	}
	named, err := h.named(r.URL.Query()["upload"])
	if err == nil {
		req.owner, err = h.ownerOf(r)
	}
	if err == nil && h.ownerHeader != "" && req.owner == "" {
		err = errWhoAsks
	}
	if err != nil {
		req.fail(err)
		return
	}
	all := len(named) == 0 && (h.showEvents == Everybody || h.showEvents == ThisMachine && fromHere(r))
	l := &listener{h: h, w: req.w, only: len(named) > 0, knows: func(e upload.Event) bool {
		mine := e.Record.Owner == "" || e.Record.Owner == req.owner
		return mine && (named[e.Record.Profile+"/"+string(e.Record.ID)] || all || len(named) == 0 && req.owner != "" && e.Record.Owner != "")
	}}
	if h.listeners.Add(1) > maxListeners {
		h.listeners.Add(-1)
		req.fail(errBusy)
		return
	}
	defer h.listeners.Add(-1)
	l.serve(r)
}

// Audience is who may know something.
type Audience int

const (
	// Nobody but who knows it already.
	Nobody Audience = iota
	// ThisMachine: whoever comes from it, and not for somebody else.
	ThisMachine
	// Everybody.
	Everybody
)

// fromHere tells that a request comes from this machine, as far as can be seen: neither through a proxy, nor from a browser that asks in
// the name of some page elsewhere.
func fromHere(r *http.Request) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
		return false
	}
	return r.ProtoAtLeast(1, 1) && isLoopback(r.RemoteAddr) && isLoopback(r.Host) // some proxies speak HTTP/1.0, and a name may be made to lead here
}

// isLoopback tells whether an address, with a port or without, is of this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// eventsForOperator is events for who may know everything.
func (h *Handlers) eventsForOperator(w http.ResponseWriter, r *http.Request) {
	req := h.newRequest(w, r)
	l := &listener{h: h, w: req.w, knows: func(upload.Event) bool { return true }}
	l.serve(r)
}

// named are the uploads with the given addresses: paths here, or below the public URL. Whether they exist is not looked at.
func (h *Handlers) named(addresses []string) (map[string]bool, error) {
	if len(addresses) > maxNamed {
		return nil, badRequest("too_many_uploads", fmt.Sprintf("At most %d uploads can be listened to at once.", maxNamed))
	}
	named := make(map[string]bool, len(addresses))
	for _, address := range addresses {
		profile, id, ok := h.find(address)
		if !ok {
			return nil, badRequest("bad_upload", "Each upload must be an address that this server gave, such as /files/{id}.")
		}
		named[profile+"/"+string(id)] = true
	}
	return named, nil
}

func (h *Handlers) find(address string) (profile string, id upload.ID, ok bool) {
	for _, e := range h.endpoints {
		for _, base := range []string{e.base, e.basePath, e.profile.Path} {
			name, below := strings.CutPrefix(address, base)
			if id, err := upload.ParseID(name); below && err == nil {
				return e.profile.Name, id, true
			}
		}
	}
	return "", "", false
}

func (l *listener) serve(r *http.Request) {
	header := l.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would keep events back
	lastID := r.Header.Get("Last-Event-ID")
	if lastID == "" {
		lastID = r.URL.Query().Get("lastEventId") // a new EventSource cannot send the header
	}
	missed, news, end := l.h.listen(lastID)
	defer end()
	l.w.WriteHeader(http.StatusOK)
	if l.send(fmt.Appendf(nil, "retry: %d\n\n", reconnectAfter.Milliseconds())) != nil {
		return
	}
	for _, n := range missed {
		if l.tell(n) != nil {
			return
		}
	}
	l.follow(r, news)
}

// follow tells what happens until the client is gone or too slow, or the server stops.
func (l *listener) follow(r *http.Request, news <-chan upload.Notice) {
	each := aliveEach
	if l.h.level != nil {
		each = levelEach
	}
	tick := time.NewTicker(each)
	defer tick.Stop()
	err := l.tick()
	for err == nil {
		select {
		case n, more := <-news:
			if !more {
				return
			}
			err = l.tell(n)
		case <-tick.C:
			err = l.tick()
		case <-r.Context().Done():
			return
		case <-l.h.stopping:
			return
		}
	}
}

// tell passes n on, as far as the listener may know it.
func (l *listener) tell(n upload.Notice) error {
	data := n.Anonymous
	switch {
	case n.Name == upload.NoticeReset:
	case l.knows(n.Event):
		data = n.Data
	case l.only:
		return nil
	}
	return l.send(serverSent(n.ID, n.Name, data))
}

func (l *listener) tick() error {
	if l.h.level == nil {
		return l.send([]byte(": alive\n\n"))
	}
	return l.send(serverSent("", "level", l.h.level.json()))
}

// send writes to the client, who may take as long as any other for it.
func (l *listener) send(raw []byte) error {
	if err := l.w.extend(); err != nil {
		return err
	}
	if _, err := l.w.Write(raw); err != nil {
		return err
	}
	return http.NewResponseController(l.w).Flush()
}

// serverSent puts data, JSON in one line, into the form of an event.
func serverSent(id, name string, data []byte) []byte {
	var b bytes.Buffer
	if id != "" {
		io.WriteString(&b, "id: "+id+"\n")
	}
	io.WriteString(&b, "event: "+name+"\ndata: ")
	b.Write(data)
	io.WriteString(&b, "\n\n")
	return b.Bytes()
}
