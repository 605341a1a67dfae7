package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// The log is what was recorded, in order, in files that are written once and removed whole. A position is where an event
// begins: the number in its file's name, plus the offset in the file. Positions only grow, also over what was lost, so that
// no endpoint takes a new event for one that it had.

const (
	logPrefix, logSuffix = "events-", ".log"
	firstPosition        = 1
)

// segment is one file of the log.
type segment struct {
	base, size int64 // the bytes from size on, if any, do not count
	newest     time.Time
}

func (s segment) end() int64   { return s.base + s.size }
func (s segment) name() string { return fmt.Sprintf("%s%016x%s", logPrefix, s.base, logSuffix) }

func parseSegment(name string) (segment, bool) {
	hex, isLog := strings.CutPrefix(name, logPrefix)
	hex, ends := strings.CutSuffix(hex, logSuffix)
	base, err := strconv.ParseInt(hex, 16, 64)
	s := segment{base: base}
	return s, isLog && ends && err == nil && 0 < base && base < 1<<62 && s.name() == name
}

// eventLog appends, reads and forgets. Appending is for one goroutine, everything else for any.
type eventLog struct {
	fs      durable.FS
	durable bool
	limit   int64 // of a segment, in bytes
	keep    time.Duration
	log     *slog.Logger

	active durable.File // the last segment; nil when the next event begins a new one
	next   int64        // the least base of a new segment

	mu       sync.Mutex // guards what follows
	segments []segment  // in order
	number   uint64     // of the newest event
	newest   time.Time  // when it was recorded; zero if that is not known
}

// openLog finds out what is there. Nothing is made before the first append.
func openLog(l *eventLog) error {
	entries, err := durable.ReadDir(l.fs, ".")
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	l.next = firstPosition
	for _, entry := range entries {
		s, ok := parseSegment(entry.Name())
		if !ok {
			continue
		}
		info, err := l.fs.Stat(entry.Name())
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		s.size, s.newest = info.Size(), info.ModTime()
		l.segments = append(l.segments, s)
		l.next = max(l.next, s.end()+1)
	}
	slices.SortFunc(l.segments, func(a, b segment) int { return int(min(1, max(-1, a.base-b.base))) })
	return l.cutTail()
}

// cutTail drops what a crash left at the end of the last segment, and finds the newest event.
func (l *eventLog) cutTail() error {
	for last := len(l.segments) - 1; last >= 0 && l.newest.IsZero(); last-- {
		s := &l.segments[last]
		good, err := l.scan(*s)
		if err != nil {
			return err
		}
		if good == s.size || last < len(l.segments)-1 {
			continue
		}
		l.log.Warn("the end of the log of events is torn: the last event was not recorded", "file", s.name(), "bytes", s.size-good)
		if err := l.cut(s.name(), good); err != nil {
			return fmt.Errorf("events: cut %s: %w", s.name(), err)
		}
		s.size = good
	}
	return nil
}

// scan returns where the last good line of s ends, and takes from it which event is the newest.
func (l *eventLog) scan(s segment) (good int64, err error) {
	err = l.eachOf(s, s.base, func(ln line) bool {
		if number, at, _, ok := parseEvent(ln); ok {
			good, l.number, l.newest = ln.end, max(l.number, number), at
		}
		return true
	})
	return good, err
}

func (l *eventLog) cut(name string, size int64) error {
	f, err := l.fs.OpenFile(name, os.O_RDWR)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// eachOf reads the lines of s from the position from on.
func (l *eventLog) eachOf(s segment, from int64, visit func(line) bool) error {
	r, err := l.fs.Open(s.name())
	if errors.Is(err, fs.ErrNotExist) {
		l.log.Error("a file of the log of events is gone", "file", s.name())
		return nil
	}
	if err != nil {
		return fmt.Errorf("events: read %s: %w", s.name(), err)
	}
	defer r.Close()
	start := from - s.base
	err = eachLine(io.NewSectionReader(r, start, s.size-start), func(ln line) bool {
		ln.off, ln.end = ln.off+start, ln.end+start
		return visit(ln)
	})
	if err != nil {
		return fmt.Errorf("events: read %s: %w", s.name(), err)
	}
	return nil
}

// append adds events, and returns when they are as durable as the log. After an error none of them counts, and the next
// goes into a new file: nothing is known about the old one beyond what was synced.
func (l *eventLog) append(events []envelope, now time.Time) error {
	if l.active != nil && l.last().size >= l.limit {
		l.rotate()
	}
	if err := l.begin(); err != nil {
		return err
	}
	at, number := l.last(), l.number
	var lines []byte
	for _, e := range events {
		number++
		lines = appendLine(lines, fmt.Appendf(nil, "%d %d %s", number, now.UnixMilli(), e.text))
	}
	_, err := l.active.WriteAt(lines, at.size)
	if err == nil && l.durable {
		err = l.active.Datasync()
	}
	if err != nil {
		l.abandon(at, int64(len(lines)))
		return fmt.Errorf("events: write %s: %w", at.name(), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.segments[len(l.segments)-1]
	s.size, s.newest, l.number, l.newest = s.size+int64(len(lines)), now, number, now
	return nil
}

func (l *eventLog) last() segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segments[len(l.segments)-1]
}

// begin makes a new segment if none is open.
func (l *eventLog) begin() error {
	if l.active != nil {
		return nil
	}
	s := segment{base: l.next}
	l.next++ // whatever comes of this name, it is not tried again
	f, err := l.fs.OpenFile(s.name(), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return fmt.Errorf("events: make %s: %w", s.name(), err)
	}
	if l.durable {
		if err := l.fs.SyncDir("."); err != nil {
			return fmt.Errorf("events: make %s: %w", s.name(), errors.Join(err, f.Close(), l.fs.Remove(s.name())))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active, l.segments = f, append(l.segments, s)
	return nil
}

// rotate ends the active segment, all of which is synced.
func (l *eventLog) rotate() {
	s := l.last()
	if err := l.active.Close(); err != nil {
		l.log.Warn("closing a file of the log of events", "file", s.name(), "err", err)
	}
	l.active, l.next = nil, s.end()+1
}

// abandon ends the active segment before what could not be written, and takes that away as far as the disk lets it.
func (l *eventLog) abandon(good segment, tried int64) {
	err := l.active.Truncate(good.size)
	err = errors.Join(err, l.active.Close())
	l.active, l.next = nil, good.end()+tried+1
	if good.size == 0 {
		err = errors.Join(err, l.fs.Remove(good.name()))
		l.mu.Lock()
		l.segments = l.segments[:len(l.segments)-1]
		l.mu.Unlock()
	}
	if err != nil {
		l.log.Warn("an event that could not be recorded may be found at the next start", "file", good.name(), "err", err)
	}
}

func (l *eventLog) close() error {
	if l.active == nil {
		return nil
	}
	return l.active.Close()
}

// end is the position after the newest event.
func (l *eventLog) end() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return firstPosition
	}
	return l.segments[len(l.segments)-1].end()
}

// head is the number of the newest event.
func (l *eventLog) head() (number uint64, recorded time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.number, l.newest
}

// from returns the segment that pos is in, or the next one that holds anything.
func (l *eventLog) from(pos int64) (segment, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if pos < s.end() {
			return s, true
		}
	}
	return segment{}, false
}

// event is one as it was read.
type event struct {
	envelope
	pos, end int64
	number   uint64
}

// read returns at most limit events from pos on, and where to go on. It reads one file at a time, so it may return none
// though there are more.
func (l *eventLog) read(pos int64, limit int) (events []event, next int64, err error) {
	s, ok := l.from(pos)
	if !ok {
		return nil, pos, nil
	}
	next = s.end()
	err = l.eachOf(s, max(pos, s.base), func(ln line) bool {
		number, _, env, ok := parseEvent(ln)
		if !ok {
			l.log.Error("a recorded event is damaged, and skipped", "file", s.name(), "offset", ln.off, "bytes", ln.end-ln.off)
			return true
		}
		events = append(events, event{env, s.base + ln.off, s.base + ln.end, number})
		next = s.base + ln.end
		return len(events) < limit
	})
	if err == nil && len(events) < limit {
		next = s.end()
	}
	return events, next, err
}

// trim removes the segments before floor that nobody may ask for any more. The last one stays: it tells when the newest
// event was recorded.
func (l *eventLog) trim(floor int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.segments) > 1 && l.segments[0].end() <= floor && time.Since(l.segments[0].newest) >= l.keep {
		name := l.segments[0].name()
		l.segments = slices.Clone(l.segments[1:])
		if err := l.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.log.Warn("events that are delivered stay on the disk", "file", name, "err", err)
		}
	}
}

// envelope is what is recorded of an event.
type envelope struct {
	To      string  // the endpoint that it is for; "" is all
	Message Message // in Body, decoded
	Body    []byte  // as it is sent

	text []byte
}

type envelopeJSON struct {
	To   string          `json:"to,omitempty"`
	Body json.RawMessage `json:"body"`
}

func seal(to string, m Message) (envelope, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return envelope{}, err
	}
	text, err := json.Marshal(envelopeJSON{to, body})
	if err == nil && len(text) > maxLine-64 {
		err = fmt.Errorf("it is %d bytes long", len(text))
	}
	return envelope{to, m, body, text}, err
}

func unseal(text []byte) (e envelope, err error) {
	var raw envelopeJSON
	if err := json.Unmarshal(text, &raw); err != nil {
		return e, err
	}
	e = envelope{To: raw.To, Body: raw.Body, text: bytes.Clone(text)}
	if err := json.Unmarshal(raw.Body, &e.Message); err != nil {
		return e, err
	}
	if _, err := upload.ParseID(string(e.Message.Data.ID)); err != nil || e.Message.ID == "" {
		return e, errors.New("it is of no upload")
	}
	return e, nil
}

// parseEvent reads "number milliseconds envelope".
func parseEvent(ln line) (number uint64, recorded time.Time, e envelope, ok bool) {
	if !ln.ok {
		return 0, time.Time{}, envelope{}, false
	}
	first, rest, _ := bytes.Cut(ln.text, []byte(" "))
	second, text, _ := bytes.Cut(rest, []byte(" "))
	number, err := strconv.ParseUint(string(first), 10, 64)
	ms, timeErr := strconv.ParseInt(string(second), 10, 64)
	e, sealErr := unseal(text)
	return number, time.UnixMilli(ms), e, err == nil && timeErr == nil && sealErr == nil
}
