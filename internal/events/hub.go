package events

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
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

	mu     sync.Mutex     // guards what follows
	number uint64         // of the newest event
	ring   []upload.Event // event n is at n % ringSize
	subs   map[*Subscription]struct{}
	closed bool
}

// NewHub makes a hub. url gives the address of an upload's content, nil: none is told.
func NewHub(url func(upload.Record) string) *Hub {
	var b [4]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return &Hub{url: url, boot: hex.EncodeToString(b[:]), ring: make([]upload.Event, ringSize), subs: make(map[*Subscription]struct{})}
}

// Publish tells every listener of e, and keeps it for those who come back.
func (h *Hub) Publish(e upload.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.number++
	h.ring[h.number%ringSize] = e
	if len(h.subs) > 0 { // mostly nobody listens, and making a notice costs
		h.pass(h.notice(h.number))
	}
}

// notice puts event number into words.
func (h *Hub) notice(number uint64) upload.Notice {
	e := h.ring[number%ringSize]
	m := newMessage(e, h.url, nil)
	data, _ := json.Marshal(m) // values of plain fields always encode
	m.ID, m.Data = "", Data{Profile: m.Data.Profile, State: m.Data.State, Size: m.Data.Size, Offset: m.Data.Offset, MediaType: m.Data.MediaType}
	anonymous, _ := json.Marshal(m)
	return upload.Notice{ID: h.id(number), Name: string(e.Type), Data: data, Anonymous: anonymous, Event: e}
}

// Listeners is how many there are.
func (h *Hub) Listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// pass hands n to all, and drops who is too slow for it.
func (h *Hub) pass(n upload.Notice) {
	for s := range h.subs {
		select {
		case s.notices <- n:
		default:
			h.drop(s)
		}
	}
}

func (h *Hub) drop(s *Subscription) {
	if _, there := h.subs[s]; there {
		delete(h.subs, s)
		close(s.notices)
	}
}

func (h *Hub) id(number uint64) string { return h.boot + "-" + strconv.FormatUint(number, 10) }

// Subscription is one listener.
type Subscription struct {
	// Missed is what happened since the id that the listener came with: to be told first. It may be one
	// [upload.NoticeReset].
	Missed []upload.Notice
	// C tells what happens from then on. It is closed when the listener was too slow, or the hub is closed.
	C <-chan upload.Notice

	notices chan upload.Notice
	hub     *Hub
}

// Subscribe begins to listen, after lastID if that is not "". The caller ends with Close.
func (h *Hub) Subscribe(lastID string) *Subscription {
	s := &Subscription{notices: make(chan upload.Notice, queueSize), hub: h}
	s.C = s.notices
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
func (h *Hub) since(lastID string) []upload.Notice {
	boot, text, _ := strings.Cut(lastID, "-")
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || boot != h.boot || number > h.number || h.number-number > ringSize {
		return []upload.Notice{{ID: h.id(h.number), Name: upload.NoticeReset, Data: []byte("{}"), Anonymous: []byte("{}")}}
	}
	var missed []upload.Notice
	for n := number + 1; n <= h.number; n++ {
		missed = append(missed, h.notice(n))
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
