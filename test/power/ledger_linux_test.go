package power

import (
	"encoding/base64"
	"maps"
	"slices"
	"sync"
)

// promise is an upload as its client knows it: what the server has said of it, and what the client has asked for.
type promise struct {
	name    string // in its metadata, and no other's
	profile profile
	file    content
	refused bool              // it is nothing that the profile takes
	squares map[string][]byte // what is made of it, by name

	id       string  // "" until the creation is answered
	offset   int64   // the highest that any answer has told
	state    string  // received, ready or rejected, once told
	later    bool    // it was made without a length
	declared bool    // the server has taken its length
	edges    []int64 // where its chunks, each with a checksum, begin and end; nil if they have none
	broken   bool    // a request was cut off: it may reach the server later than what was asked next
	deleting bool
	deleted  bool
	turns    int // requests that were begun and that ended: odd while one is under way
}

// profile is where a kind of upload is reached, and where its files are.
type profile struct {
	path string
	dir  string
	flat bool
}

var profiles = []profile{files, videos, avatars}

var (
	files   = profile{"/files/", "file", true}
	videos  = profile{"/videos/", "video", false}
	avatars = profile{"/avatars/", "avatar", false}
)

func (p promise) url() string { return p.profile.path + p.id }

// metadata is the header that the upload is made with.
func (p promise) metadata() string {
	return "filename " + base64.StdEncoding.EncodeToString([]byte(p.name)) + ",cut,odd d2VsbA=="
}

// quiet tells that nothing has been asked for this upload since it was as before, and nothing is under way: what is on disk
// of it lies still.
func (p promise) quiet(before promise) bool {
	return p.turns == before.turns && p.turns%2 == 0 && p.state != "received"
}

// event is what can be waited for, to cut the power right after it.
type event string

const (
	anything event = ""
	created  event = "an upload is created"
	added    event = "a chunk is added"
	verified event = "a chunk with a checksum is added"
	declared event = "a length is declared"
	finished event = "an upload is ready"
	rejected event = "an upload is rejected"
	deleted  event = "an upload is deleted"
	flowing  event = "bytes of a chunk that flows are acknowledged"
	synced   event = "another program has synced a file"
)

var events = []event{created, added, verified, declared, finished, rejected, deleted, flowing, synced}

// ledger is what all clients know. An acknowledgement is in it as soon as its reader has it.
type ledger struct {
	mu      sync.Mutex
	uploads map[string]promise // by name
	awaited event
	seen    chan struct{} // closed when the awaited event is
}

func newLedger() *ledger { return &ledger{uploads: make(map[string]promise)} }

// add notes that an upload is asked for.
func (l *ledger) add(p promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uploads[p.name] = p
}

// change notes what alter does to an upload, and that what has happened.
func (l *ledger) change(name string, what event, alter func(*promise)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, known := l.uploads[name]
	if !known {
		return // forgotten
	}
	alter(&p)
	l.uploads[name] = p
	l.happened(what)
}

// tell notes that something has happened.
func (l *ledger) tell(what event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.happened(what)
}

func (l *ledger) happened(what event) {
	if l.seen != nil && what != anything && l.awaited == what {
		close(l.seen)
		l.seen = nil
	}
}

// next returns a channel that is closed at the next such event.
func (l *ledger) next(what event) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awaited, l.seen = what, make(chan struct{})
	return l.seen
}

// mark is all that is known now.
func (l *ledger) mark() map[string]promise {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.uploads)
}

// get is what is known of one upload.
func (l *ledger) get(name string) promise {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.uploads[name]
}

// growing are the uploads that a request is under way for.
func (l *ledger) growing() (list []promise) {
	for _, p := range l.mark() {
		if p.turns%2 == 1 && p.id != "" && !p.deleting {
			list = append(list, p)
		}
	}
	return list
}

// forget drops uploads of which enough was seen.
func (l *ledger) forget(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		delete(l.uploads, name)
	}
}

// edge notes that a chunk with a checksum begins or ends at off.
func (p *promise) edge(off int64) {
	if !slices.Contains(p.edges, off) {
		p.edges = append(p.edges, off) // marks know a shorter part of the same list
	}
}
