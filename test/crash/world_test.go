package crash

import (
	"math/rand/v2"
	"sync"
)

const (
	// maxUploads and maxBytes bound what is verified after each kill, and with it how long a round takes. Beyond them clients
	// remove what is finished before they make anything new.
	maxUploads = 150
	maxBytes   = 192 << 20
	// enoughOpen is how many unfinished uploads make a client carry on one of them before it makes anything new. The more
	// there are, the more kills each of them lives through.
	enoughOpen = 40
)

// world is all uploads that any client knows of. It lives through all kills. All methods may be called concurrently.
type world struct {
	seed  uint64
	data  string  // the server's directory
	table []*kind // in the order in which they are made, over and over

	mu      sync.Mutex
	uploads []*upload
	graves  map[string]bool // where uploads were that are gone, see grave
	strays  map[string]bool // where bytes may be that nobody was told of
	next    int
	tallies map[string]*tally
	chances map[string]int // how often a kill came at a moment that leaves things open
}

// tally counts what became of the uploads of a kind: how many were made and were finished, how many kills they went through
// before that, and the most that one did.
type tally struct{ made, finished, kills, most int }

func newWorld(seed uint64, data string, joins bool, r *rand.Rand) *world {
	w := &world{seed: seed, data: data, graves: make(map[string]bool), strays: make(map[string]bool),
		tallies: make(map[string]*tally), chances: make(map[string]int)}
	for _, k := range kinds(joins) {
		for range k.weight {
			w.table = append(w.table, k)
		}
	}
	r.Shuffle(len(w.table), func(i, j int) { w.table[i], w.table[j] = w.table[j], w.table[i] })
	return w
}

// claim chooses what a client does next: remove something, carry something on, or make something new.
func (w *world) claim(r *rand.Rand) *upload {
	w.mu.Lock()
	defer w.mu.Unlock()
	open, done, crowded := w.waiting()
	var u *upload
	switch x := r.IntN(10); {
	case len(done) > 0 && (crowded || x < 2):
		u = done[r.IntN(len(done))]
	case len(open) > 0 && (crowded || len(open) > enoughOpen || x < 6):
		u = open[r.IntN(len(open))]
	default:
		u = w.add(r)
	}
	u.claimed = true
	return u
}

// waiting are the uploads that nobody is at: those with something to be done, and those that may be removed. mu is held.
func (w *world) waiting() (open, done []*upload, crowded bool) {
	var size int64
	for _, u := range w.uploads {
		size += u.file.size
	}
	crowded = len(w.uploads) > maxUploads || size > maxBytes
	for _, u := range w.uploads {
		switch {
		case u.claimed || u.whole != nil || u.get(&u.made) == perhaps || u.get(&u.removed) != no:
		case u.kind == part, u.finished() && (crowded || u.outlived() > 0):
			done = append(done, u)
		case !u.finished():
			open = append(open, u)
		}
	}
	return open, done, crowded
}

// outlived is how many kills the upload has gone through since it was finished.
func (u *upload) outlived() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.finishes
}

// add makes the next upload. mu is held.
func (w *world) add(r *rand.Rand) *upload {
	k := w.table[w.next%len(w.table)]
	u := w.put(k, content{size: k.least + r.Int64N(k.most-k.least+1), seed: scramble(w.seed + uint64(w.next))})
	if k.head != nil {
		u.file.head = k.head(u.file.seed)
		u.file.size = max(u.file.size, int64(len(u.file.head)))
	}
	if !k.joined {
		return u
	}
	for at := int64(0); at < u.file.size; {
		file := content{seed: u.file.seed, begin: at, size: min(1+r.Int64N(mib), u.file.size-at)}
		p := w.put(part, file)
		p.whole, p.concat = u, "partial"
		u.parts = append(u.parts, p)
		at += file.size
	}
	return u
}

func (w *world) put(k *kind, file content) *upload {
	u := newUpload(k, w.next, file)
	w.next++
	w.uploads = append(w.uploads, u)
	w.tally(k).made++
	return u
}

func (w *world) tally(k *kind) *tally {
	t := w.tallies[k.name]
	if t == nil {
		t = &tally{}
		w.tallies[k.name] = t
	}
	return t
}

// release lets others have an upload.
func (w *world) release(u *upload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u.claimed = false
}

// any is an upload that is there, whoever is at it; nil if chance finds none.
func (w *world) any(r *rand.Rand) *upload {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.uploads) == 0 {
		return nil
	}
	u := w.uploads[r.IntN(len(w.uploads))]
	if u.get(&u.made) != yes || u.get(&u.removed) != no || u.kind == part {
		return nil
	}
	return u
}

// all are the uploads now, none of them claimed any more.
func (w *world) all() []*upload {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.uploads {
		u.claimed = false
	}
	return append([]*upload(nil), w.uploads...)
}

// grave is where an upload is in the data directory.
func (u *upload) grave() string { return u.kind.profile.dir + "/" + u.id() }

// bury forgets an upload that is gone, but for its place. What it was joined from stands alone now.
func (w *world) bury(u *upload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.graves[u.grave()] = true
	for i, other := range w.uploads {
		if other == u {
			w.uploads = append(w.uploads[:i], w.uploads[i+1:]...)
			break
		}
	}
	for _, p := range u.parts {
		p.whole = nil
	}
}

// outlives counts a kill for an upload that is still there.
func (w *world) outlives(u *upload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	t := w.tally(u.kind)
	switch {
	case u.state != ready && u.state != rejected:
		u.survived++
		t.kills++
		t.most = max(t.most, u.survived)
	case u.finishes == 0:
		t.finished++
		fallthrough
	default:
		u.finishes++
	}
}

// chance counts what a kill left open.
func (w *world) chance(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chances[what]++
}
