package power

import "time"

// plan is how a client sends an upload.
type plan struct {
	promise
	first   int64 // bytes that go with the creation
	least   int64 // of a chunk
	most    int64
	checked bool          // each chunk has a checksum
	smooth  bool          // nothing goes wrong on the way
	pace    time.Duration // for each MiB
}

// stream sends in one go, and so much that write-back begins long before the end.
func stream(w *worker) plan {
	p := w.large(24<<20, 80<<20)
	p.least, p.most, p.pace = p.file.size, p.file.size+1, 20*time.Millisecond
	return p
}

// chunks sends in many requests.
func chunks(w *worker) plan {
	p := w.large(3<<20, 40<<20)
	if w.one(8) {
		p = w.load.plan(videos, content{size: p.file.size}) // no film
		p.refused = true
	}
	p.least, p.most, p.pace = 1<<20, 16<<20, 10*time.Millisecond
	p.checked, p.later = w.one(3), w.one(4)
	return p
}

// small sends little, most of it with the creation.
func small(w *worker) plan {
	w.pause(time.Duration(w.random.IntN(40)) * time.Millisecond)
	p := w.load.plan(files, content{size: w.between(1, 64<<10)})
	p.least, p.most, p.first = 1, 64<<10, p.file.size
	p.checked, p.later = w.one(3), w.one(4)
	if w.one(4) {
		p.first = w.between(0, p.file.size)
	}
	if p.later {
		p.first = 0
	}
	return p
}

// face sends a picture, or what is none.
func face(w *worker) plan {
	w.pause(time.Duration(w.random.IntN(400)) * time.Millisecond)
	known := w.faces[w.random.IntN(len(w.faces))]
	p := w.load.plan(avatars, known.file)
	p.squares = known.squares
	if w.one(4) {
		p = w.load.plan(avatars, content{size: w.between(1, 200<<10)})
		p.refused = true
	}
	p.least, p.most, p.checked = 20<<10, 300<<10, w.one(3)
	if w.one(2) {
		p.first = p.file.size
	}
	return p
}

// large is an upload of a file of that size, be it a film or not.
func (w *worker) large(low, high int64) plan {
	file := content{size: w.between(low, high)}
	if w.one(2) {
		return w.load.plan(files, file)
	}
	file.head = movie
	return w.load.plan(videos, file)
}
