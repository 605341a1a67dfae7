package crash

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// fate is what became of something that was asked for.
type fate int

const (
	no      fate = iota
	perhaps      // asked for, and not answered
	yes          // answered well
)

func (f fate) String() string { return [...]string{"no", "perhaps", "yes"}[f] }

// The states that a server tells of an upload.
const (
	received = "received"
	ready    = "ready"
	rejected = "rejected"
)

// upload is what a client knows of one upload. One client at a time carries it on; a watcher may look on.
type upload struct {
	kind     *kind
	index    int
	file     content
	metadata string    // Upload-Metadata, which no other upload has
	concat   string    // Upload-Concat, "" for none
	parts    []*upload // that it is joined from, in order
	whole    *upload   // that it is a part of; changed only between two runs
	claimed  bool      // guarded by world.mu

	mu       sync.Mutex
	made     fate
	location string // once made
	declared fate   // its length
	removed  fate
	acked    int64 // some answer told this offset, and none a higher one
	sent     int64 // bytes above cannot count: they were never sent, or are known to be lost
	begun    span  // the last chunk
	held     span  // of these bytes none counts or all do
	state    string
	joined   bool              // a part whose bytes are in another upload
	variants map[string]string // digests by name, as first seen
	survived int               // kills while it was unfinished
	finishes int               // kills since it was seen ready or rejected
}

// span lies between two offsets.
type span struct{ from, to int64 }

// newUpload is not announced to any server yet.
func newUpload(k *kind, index int, file content) *upload {
	u := &upload{kind: k, index: index, file: file, declared: yes}
	if k.deferred {
		u.declared = no
	}
	name := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s %d.bin", k.name, index))
	u.metadata = []string{"filename " + name, "z,filename " + name + ",a", "b Yg==,filename " + name}[index%3]
	return u
}

func (u *upload) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return fmt.Sprintf("upload %d (%s, made: %v) at %q, acknowledged %d, sent %d of %d, checked as a whole %v, "+
		"length declared: %v, state %q, removed: %v, after %d kills", u.index, u.kind.name, u.made, u.location, u.acked, u.sent, u.file.size, u.held,
		u.declared, u.state, u.removed, u.survived)
}

// known is what no later answer may take back.
type known struct {
	acked    int64
	state    string
	declared fate
}

func (u *upload) known() known {
	u.mu.Lock()
	defer u.mu.Unlock()
	return known{u.acked, u.state, u.declared}
}

// at is where the upload is, "" while that is not known.
func (u *upload) at() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.location
}

// full tells that the server has every byte, and knows that it has.
func (u *upload) full() bool {
	k := u.known()
	if u.parts != nil {
		return k.acked == u.file.size
	}
	return k.state != "" || k.acked == u.file.size && k.declared == yes
}

// finished tells that nothing will change any more, but by removal.
func (u *upload) finished() bool {
	state := u.known().state
	return state == ready || state == rejected
}

// ask notes that something is being asked for.
func (u *upload) ask(what *fate) {
	u.mu.Lock()
	defer u.mu.Unlock()
	*what = max(*what, perhaps)
}

func (u *upload) set(what *fate, to fate) {
	u.mu.Lock()
	defer u.mu.Unlock()
	*what = to
}

func (u *upload) get(what *fate) fate {
	u.mu.Lock()
	defer u.mu.Unlock()
	return *what
}

// found notes where the upload is.
func (u *upload) found(location string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.made, u.location = yes, location
}

// begin notes that a chunk is about to be sent, and returns what is known before.
func (u *upload) begin(k chunk) known {
	u.mu.Lock()
	defer u.mu.Unlock()
	before := known{u.acked, u.state, u.declared}
	u.begun, u.held = span{k.from, k.to}, span{}
	if k.sum != unchecked {
		u.held = span{k.from, k.to}
	}
	if k.declare {
		u.declared = max(u.declared, perhaps)
	}
	return before
}

// send notes that the bytes below off are on their way.
func (u *upload) send(off int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent = max(u.sent, off)
}

// settle notes that an answer told where the upload ends while nobody was sending: what lies above is lost.
func (u *upload) settle() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.parts == nil {
		u.sent, u.held = u.acked, span{}
	}
}

// standing is what an answer says about an upload.
type standing struct {
	offset int64 // untold: nothing
	state  string
}

const untold int64 = -1

// learn takes in an answer to a request that was made when before was known. It returns what the answer must not say.
func (u *upload) learn(before known, s standing) error {
	bound := u.bound()
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.checkState(before.state, s.state); err != nil {
		return err
	}
	u.state = later(u.state, s.state)
	if s.state == rejected {
		return nil // its bytes are gone
	}
	switch {
	case s.offset == untold && u.parts != nil && before.acked > 0:
		return fmt.Errorf("no offset is told, but it was told to be joined")
	case s.offset == untold:
		return nil
	case s.offset < before.acked:
		return fmt.Errorf("acknowledged bytes are lost: offset %d after %d", s.offset, before.acked)
	case s.offset > bound:
		return fmt.Errorf("bytes count that never came, or whose checksum is wrong or was not verified: offset %d, want at most %d",
			s.offset, bound)
	case u.held.from < s.offset && s.offset < u.held.to:
		return fmt.Errorf("a part of a checked chunk counts: offset %d within %v", s.offset, u.held)
	case u.parts != nil && s.offset != u.file.size:
		return fmt.Errorf("joined to %d bytes, want %d", s.offset, u.file.size)
	}
	u.acked = max(u.acked, s.offset)
	return nil
}

// bound is above what the offset cannot be.
func (u *upload) bound() int64 {
	for _, p := range u.parts {
		if p.bound() < p.file.size {
			return 0
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.parts != nil {
		return u.file.size
	}
	return u.sent
}

// checkState compares the state in an answer with what it was before.
func (u *upload) checkState(before, now string) error {
	switch {
	case (before == ready || before == rejected) && now != before, before == received && now == "":
		return fmt.Errorf("it is in state %q after %q", now, before)
	case now == rejected && !u.kind.refusable:
		return fmt.Errorf("it was rejected, and should not have been")
	case now == ready && u.kind.refusable:
		return fmt.Errorf("it was taken, and should have been rejected")
	}
	return nil
}

func later(a, b string) string {
	order := []string{"", received, ready, rejected}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// mayBeGone tells whether the server may have removed the upload: because it was asked to, or since what it is a part of
// is joined, or gone.
func (u *upload) mayBeGone() bool {
	switch {
	case u.get(&u.removed) != no, u.kind == part && u.whole == nil:
		return true
	case u.whole == nil:
		return false
	}
	return u.whole.known().acked > 0 || u.whole.get(&u.whole.removed) != no
}

// join notes that a part has become part of another: the server has no bytes of it any more.
func (u *upload) join() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.joined, u.acked = true, u.file.size
}

// isJoined tells whether join was called.
func (u *upload) isJoined() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.joined
}

// id is the last element of the location.
func (u *upload) id() string {
	location := u.at()
	return location[strings.LastIndexByte(location, '/')+1:]
}
