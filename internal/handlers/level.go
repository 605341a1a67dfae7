package handlers

import (
	"encoding/json"
	"sync"
	"time"
)

// level is how the server stands: the picture of the contrast, in which bytes flow and memory stays where it is. It is looked
// up when somebody asks, and at most once in a while, however many ask.
type level struct {
	bytes  func() int64 // received since the start
	active func() int   // uploads that bytes come for

	mu   sync.Mutex // guards what follows
	at   time.Time
	last []byte
}

// levelFresh is how long a level is told to others too.
const levelFresh = levelEach / 2

// levelNotice is the data of a level event.
type levelNotice struct {
	Time          time.Time `json:"time"`
	ResidentBytes int64     `json:"residentBytes"` // memory of the server
	ReceivedBytes int64     `json:"receivedBytes"` // of uploads, since the start
	Receiving     int       `json:"receiving"`     // uploads at this moment
}

// json returns the level, in one line.
func (l *level) json() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.at) < levelFresh {
		return l.last
	}
	raw, err := json.Marshal(levelNotice{now.UTC().Truncate(time.Millisecond), residentBytes(), l.bytes(), l.active()})
	if err != nil {
		return l.last // numbers always encode
	}
	l.at, l.last = now, raw
	return raw
}
