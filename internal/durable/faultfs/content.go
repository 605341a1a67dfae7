package faultfs

import "math/rand/v2"

const (
	pageSize   = 4096 // in which bytes go to the disk
	sectorSize = 512  // which a disk writes whole
)

// page is a part of a file. It is never changed once made; a nil one was never written.
type page *[pageSize]byte

// content is the bytes of a file: as they are, and as the disk may have them.
type content struct {
	size  int64
	pages []place // in order

	kept  int64    // the length that is durable
	sizes []resize // lengths since
	now   int      // counts changes
}

// place is where one page goes.
type place struct {
	page, kept page      // as it is, and as it is durable
	versions   []version // since then, in order
	spoiled    bool      // the next sync leaves it out
}

// resize is a change of the length.
type resize struct {
	at   int
	size int64
}

// version is a change of one page.
type version struct {
	at   int
	page page
	end  int64 // of the file then
	how  change
}

type change int

const (
	written change = iota
	zeroed         // from the new end on, by a truncation
	dropped        // whole, by a truncation
)

func (c *content) read(p []byte, off int64) (n int) {
	p = p[:max(0, min(int64(len(p)), c.size-off))]
	for n < len(p) {
		number, from := (off+int64(n))/pageSize, (off+int64(n))%pageSize
		part := p[n:min(len(p), n+int(pageSize-from))]
		if at := c.at(number); at != nil {
			copy(part, at[from:])
		} else {
			clear(part)
		}
		n += len(part)
	}
	return n
}

// at is a page as it is.
func (c *content) at(number int64) page {
	if number < int64(len(c.pages)) {
		return c.pages[number].page
	}
	return nil
}

func (c *content) write(p []byte, off int64) {
	for n := int64(len(c.pages)); n*pageSize < off+int64(len(p)); n++ {
		c.pages = append(c.pages, place{})
	}
	var last page
	for len(p) > 0 {
		number, from := off/pageSize, off%pageSize
		n := min(len(p), int(pageSize-from))
		c.resize(max(c.size, off+int64(n)))
		if last == nil || n < pageSize || string(last[:]) != string(p[:n]) { // much of what tests write is the same
			last = c.with(number, p[:n], from)
		}
		c.put(number, last, written)
		p, off = p[n:], off+int64(n)
	}
}

// with is a page in which p has been written at from.
func (c *content) with(number int64, p []byte, from int64) page {
	next := new([pageSize]byte)
	if at := c.pages[number].page; at != nil {
		*next = *at
	}
	copy(next[from:], p)
	return next
}

func (c *content) resize(size int64) {
	c.now++
	if size != c.size {
		c.size = size
		c.sizes = append(c.sizes, resize{c.now, size})
	}
}

func (c *content) put(number int64, p page, how change) {
	at := &c.pages[number]
	at.page, at.spoiled = p, false
	at.versions = append(at.versions, version{c.now, p, c.size, how})
}

func (c *content) truncate(size int64) {
	shrinks := size < c.size
	c.resize(size)
	if !shrinks {
		return
	}
	for number := size / pageSize; number < int64(len(c.pages)); number++ {
		at := c.pages[number].page
		switch start := number * pageSize; {
		case at == nil:
		case start >= size:
			c.put(number, nil, dropped)
		default:
			next := *at
			clear(next[size-start:])
			c.put(number, &next, zeroed)
		}
	}
}

func (c *content) firstHole() int64 {
	number := int64(0)
	for c.at(number) != nil {
		number++
	}
	return min(number*pageSize, c.size)
}

// dirty tells whether anything is not durable.
func (c *content) dirty() bool {
	for _, p := range c.pages {
		if len(p.versions) > 0 {
			return true
		}
	}
	return len(c.sizes) > 0
}

// sync makes the content durable, but for what is spoiled.
func (c *content) sync() {
	c.kept, c.sizes = c.size, nil
	for number := range c.pages {
		p := &c.pages[number]
		n := len(p.versions)
		for p.spoiled && n > 0 && p.versions[n-1].how == written { // of which truncations alone are durable
			n--
		}
		if n > 0 {
			p.kept = p.versions[n-1].page
		}
		p.versions = p.versions[n:]
	}
}

// spoil is a sync that failed: the system takes the pages for written now, and never writes them again. Until the power is
// cut they are read as if nothing had happened.
func (c *content) spoil() {
	for number := range c.pages {
		p := &c.pages[number]
		p.spoiled = len(p.versions) > 0
	}
}

// style is how much of what is not durable a power cut leaves of a file.
type style int

const (
	nothing    style = iota
	length           // the last length, but no byte
	everything       // as if there had been no cut
	anything         // each page, and the length, as chance will have it
	styles
)

func (s style) String() string {
	return [...]string{"nothing new", "its length", "everything", "anything"}[s]
}

// survivor is what a power cut leaves. Lengths and pages reach the disk in any order, each at its own time. What a truncation
// took away does not come back once its length, or a later one, is there.
func (c *content) survivor(s style, lengthLast bool, dice *rand.Rand) *content {
	at, size := c.lengthOf(s, dice)
	left := &content{size: size}
	for number := int64(0); number*pageSize < left.size && number < int64(len(c.pages)); number++ {
		p, end := c.pageOf(number, at, s, dice)
		left.pages = append(left.pages, place{page: p})
		if p != nil && lengthLast && end < (number+1)*pageSize {
			left.size = min(left.size, end)
		}
	}
	left.cut()
	left.kept = left.size
	return left
}

// cut takes away what the last page has beyond the length, and has the others kept.
func (c *content) cut() {
	for number := range c.pages {
		p := &c.pages[number]
		if rest := c.size - int64(number)*pageSize; p.page != nil && rest < pageSize {
			short := *p.page
			clear(short[rest:])
			p.page = &short
		}
		p.kept = p.page
	}
}

// lengthOf chooses a length, and says when the file had it.
func (c *content) lengthOf(s style, dice *rand.Rand) (at int, size int64) {
	n := len(c.sizes)
	switch s {
	case nothing:
		n = 0
	case anything:
		n = dice.IntN(n + 1)
	}
	if n == 0 {
		return 0, c.kept
	}
	return c.sizes[n-1].at, c.sizes[n-1].size
}

// pageOf chooses a version of a page, for a file whose length is that of the moment at, and says where the file ended then.
func (c *content) pageOf(number int64, at int, s style, dice *rand.Rand) (page, int64) {
	place := c.pages[number]
	may := []version{{page: place.kept, end: c.kept}}
	for _, v := range place.versions {
		happened := v.at <= at
		if v.how == dropped && !happened {
			break // the file still has the page that it had before; what came after is in another place
		}
		if v.how != written && happened {
			may = may[:0]
		}
		may = append(may, v)
	}
	i := len(may) - 1
	switch s {
	case nothing, length:
		i = 0
	case anything:
		i = dice.IntN(len(may))
	}
	if s == anything && i > 0 && dice.IntN(4) == 0 {
		return tear(may[i-1], may[i], dice), may[i-1].end
	}
	return may[i].page, may[i].end
}

// tear is a page of which some sectors, the first or the last, are of the version before.
func tear(before, after version, dice *rand.Rand) page {
	if before.page == nil {
		return nil // space is not part of a file until all of it was written
	}
	first, last := before.page, after.page
	if dice.IntN(2) == 0 {
		first, last = last, first
	}
	torn := *first
	at := sectorSize * (1 + dice.IntN(pageSize/sectorSize-1))
	copy(torn[at:], last[at:])
	return &torn
}
