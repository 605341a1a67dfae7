package events

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"sluice/internal/upload"
)

const (
	ringSize  = 1000 // events that can be resumed from
	queueSize = 64   // that a listener may lag behind
)

// Hub tells listeners as things happen. It never waits for one. All methods may be called concurrently.
type Hub struct {
	url  func(upload.Record) string
	boot string // tells this process's ids from those of another

	mu     sync.Mutex // guards what follows
	number uint64     // of the newest event
	ring   []Item     // event n is at n % ringSize
	subs   map[*Subscription]struct{}
	closed bool
}

// Item is what a listener is told: a server-sent event.
type Item struct {
	ID    string       // to resume after; "" where that makes no sense
	Name  string       // the event's type, or "reset", or what [Hub.Tell] was given
	Data  []byte       // JSON: a [Message] without the path
	Event upload.Event // so that whoever passes it on can tell whose it is; empty where there is none
}

// Reset is the name of the item that a listener gets first who cannot be told all that it missed: it has to ask for the
// state of things.
const Reset = "reset"

// NewHub makes a hub. url gives the address of an upload's content, nil: none is told.
func NewHub(url func(upload.Record) string) *Hub {
	var b [4]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return &Hub{url: url, boot: hex.EncodeToString(b[:]), ring: make([]Item, ringSize), subs: make(map[*Subscription]struct{})}
}

// Publish tells every listener of e, and keeps it for those who come back.
func (h *Hub) Publish(e upload.Event) {
	data, err := json.Marshal(newMessage(e, h.url, nil))
	if err != nil {
		return // a value of plain fields always encodes
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.number++
	item := Item{ID: h.id(h.number), Name: string(e.Type), Data: data, Event: e}
	h.ring[h.number%ringSize] = item
	h.pass(item)
}

// Tell tells every listener something of the moment, which is not kept: data is JSON without a newline.
func (h *Hub) Tell(name string, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pass(Item{Name: name, Data: data})
}

// Listeners is how many there are.
func (h *Hub) Listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// pass hands item to all, and drops who is too slow for it.
func (h *Hub) pass(item Item) {
	for s := range h.subs {
		select {
		case s.items <- item:
		default:
			h.drop(s)
		}
	}
}

func (h *Hub) drop(s *Subscription) {
	if _, there := h.subs[s]; there {
		delete(h.subs, s)
		close(s.items)
	}
}

func (h *Hub) id(number uint64) string { return h.boot + "-" + strconv.FormatUint(number, 10) }

// Subscription is one listener.
type Subscription struct {
	// Missed is what happened since the id that the listener came with: to be told first. It may be one [Reset].
	Missed []Item
	// C tells what happens from then on. It is closed when the listener was too slow, or the hub is closed.
	C <-chan Item

	items chan Item
	hub   *Hub
}

// Subscribe begins to listen, after lastID if that is not "". The caller ends with Close.
func (h *Hub) Subscribe(lastID string) *Subscription {
	s := &Subscription{items: make(chan Item, queueSize), hub: h}
	s.C = s.items
	h.mu.Lock()
	defer h.mu.Unlock()
	if lastID != "" {
		s.Missed = h.since(lastID)
	}
	h.subs[s] = struct{}{}
	if h.closed {
		h.drop(s)
	}
	return s
}

// since returns what came after the id.
func (h *Hub) since(lastID string) []Item {
	boot, text, _ := strings.Cut(lastID, "-")
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || boot != h.boot || number > h.number || h.number-number > ringSize {
		return []Item{{ID: h.id(h.number), Name: Reset, Data: []byte("{}")}}
	}
	var missed []Item
	for n := number + 1; n <= h.number; n++ {
		missed = append(missed, h.ring[n%ringSize])
	}
	return missed
}

// Close ends the subscription. Calling it again is no error.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.drop(s)
}

// Close ends every subscription.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		h.drop(s)
	}
}

// WriteSSE writes item as a server-sent event (HTML, "Server-sent events").
func WriteSSE(w io.Writer, item Item) error {
	var b bytes.Buffer
	if item.ID != "" {
		fmt.Fprintf(&b, "id: %s\n", item.ID)
	}
	fmt.Fprintf(&b, "event: %s\n", item.Name)
	for part := range bytes.Lines(item.Data) {
		fmt.Fprintf(&b, "data: %s\n", bytes.TrimRight(part, "\r\n"))
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}
