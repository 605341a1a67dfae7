package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const webhookKey = "whsec_c2x1aWNlJ3MgdGVzdHMgc2lnbiB3aXRoIHRoaXMga2V5"

// hookMessage is what a back end is sent.
type hookMessage struct {
	Type string
	ID   string
	Data struct {
		ID, Profile, State, URL, Path, MediaType string
		Size                                     int64
		Metadata                                 map[string]string
		Reason                                   *struct{ Code, Message string }
		Variants                                 []struct{ Name string }
	}
}

// upload names the upload of m.
func (m hookMessage) upload() string { return "/" + m.Data.Profile + "/" + m.Data.ID }

// backEnd is somebody who is told of events, and checks that it is Sluice who tells.
type backEnd struct {
	url  string
	fail func(try int) bool // an answer of 503 to the first or a later try

	mu     sync.Mutex    // guards what follows
	order  []hookMessage // as they came first
	bodies map[string]string
	tries  map[string]int
	faults []string
}

func newBackEnd(t *testing.T, fail func(try int) bool) *backEnd {
	t.Helper()
	key, err := webhooks.NewWebhook(webhookKey)
	if err != nil {
		t.Fatal(err)
	}
	b := &backEnd{fail: fail, bodies: make(map[string]string), tries: make(map[string]int)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = key.Verify(body, r.Header)
		}
		if err != nil {
			b.fault("a delivery is not right: %v", err)
		}
		if b.fail(b.try(r.Header.Get("webhook-id"))) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b.take(body, r.Header.Get("webhook-id"))
	}))
	t.Cleanup(server.Close)
	b.url = server.URL + "/uploads"
	return b
}

func (b *backEnd) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

// try counts how often an event came.
func (b *backEnd) try(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries[id]++
	return b.tries[id]
}

func (b *backEnd) take(body []byte, id string) {
	var m hookMessage
	err := json.Unmarshal(body, &m)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch known, again := b.bodies[id]; {
	case err != nil || m.ID != id:
		b.faults = append(b.faults, fmt.Sprintf("%s with the id %s: %v", body, id, err))
	case again && known != timeless(body):
		b.faults = append(b.faults, fmt.Sprintf("duplicates differ:\n%s\n%s", known, body))
	case !again:
		b.bodies[id] = timeless(body)
		b.order = append(b.order, m)
	}
}

var timestamp = regexp.MustCompile(`"timestamp":"[^"]+",`)

// timeless is a message without its time: when a removal that a crash cut short began, nothing tells.
func timeless(body []byte) string { return timestamp.ReplaceAllString(string(body), "") }

// told returns the types that came for an upload, in order.
func (b *backEnd) told(upload string) (types []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.order {
		if m.upload() == upload {
			types = append(types, strings.TrimPrefix(m.Type, "upload."))
		}
	}
	return types
}

// last returns the last message that came for an upload.
func (b *backEnd) last(upload string) (last hookMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.order {
		if m.upload() == upload {
			last = m
		}
	}
	return last
}

// flags have a server tell b.
func (b *backEnd) flags() []string {
	return []string{"--webhook", b.url, "--webhook-private=true", "--webhook-key", webhookKey}
}

func (b *backEnd) check(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		t.Error(fault)
	}
}

// uploadName is the name of the upload at location as messages give it.
func uploadName(location string) string {
	profile, id, _ := strings.Cut(strings.TrimPrefix(location, "/"), "/")
	return "/" + strings.TrimSuffix(profile, "s") + "/" + id
}

func TestABackEndIsToldAllThatItNeeds(t *testing.T) {
	b := newBackEnd(t, func(int) bool { return false })
	s := start(t, b.flags()...)
	picture := gradient(t, 640, 480)
	location := s.create(t, "/avatars/", int64(len(picture)), "Upload-Metadata: filename bWUucG5n")
	s.patch(t, location, 0, bytes.NewReader(picture), int64(len(picture)))
	name := uploadName(location)
	await(t, "the avatar is told of", func() bool { return len(b.told(name)) == 3 })
	if got := b.told(name); !slices.Equal(got, []string{"created", "received", "ready"}) {
		t.Errorf("got %q", got)
	}
	m := b.last(name)
	if m.Data.State != "ready" || m.Data.Size != int64(len(picture)) || m.Data.MediaType != "image/png" || m.Data.Metadata["filename"] != "me.png" || len(m.Data.Variants) < 3 || m.Data.URL != location {
		t.Errorf("got %+v", m)
	}
	if raw, err := os.ReadFile(filepath.Join(s.data, m.Data.Path)); err != nil || !bytes.Equal(raw, picture) {
		t.Errorf("at the path that was told there is something else: %v", err)
	}

	location = s.create(t, "/avatars/", 4)
	s.patch(t, location, 0, strings.NewReader("none"), 4)
	name = uploadName(location)
	await(t, "the rejection is told", func() bool { return slices.Contains(b.told(name), "rejected") })
	if m := b.last(name); m.Data.Reason == nil || m.Data.Reason.Code != "unsupported_media_type" || m.Data.State != "rejected" {
		t.Errorf("got %+v", m)
	}

	location = s.create(t, "/files/", 4)
	s.do(t, "DELETE", location, protocol)
	await(t, "the end is told", func() bool { return slices.Equal(b.told(uploadName(location)), []string{"created", "terminated"}) })
	b.check(t)
}

// TestKilledServersLoseNoEvent kills a server again and again while uploads are made, completed, refused and deleted, and its back
// end does not take every message at once. In the end the back end must know what every client had been told, and
// whatever else has come to pass.
func TestKilledServersLoseNoEvent(t *testing.T) {
	b := newBackEnd(t, func(try int) bool { return try <= 2 && rand.IntN(3) == 0 })
	s := newServer(t, t.TempDir(), b.flags()...)
	k := &knowledge{last: make(map[string]string)}
	rounds := 6
	if os.Getenv("SOAK") != "" {
		rounds = 100
	}
	for range rounds {
		s.run(t)
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() { k.use(t, s, stop) })
		}
		time.Sleep(time.Duration(50+rand.IntN(300)) * time.Millisecond) // the moment of the kill is by chance
		s.kill()
		close(stop)
		clients.Wait()
	}
	s.run(t)
	k.look(t, s)
	for deadline := time.Now().Add(patience); k.missing(b) != ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(k.missing(b))
		}
	}
	steps := []string{"created", "received", "ready", "rejected", "terminated"}
	for name := range k.last {
		told := b.told(name)
		if !slices.IsSortedFunc(told, func(a, b string) int { return slices.Index(steps, a) - slices.Index(steps, b) }) {
			t.Errorf("%s: got %q", name, told)
		}
	}
	b.check(t)
	t.Logf("%d uploads, %d events", len(k.last), len(b.order))
	if len(k.last) < 20 {
		t.Error("too few to prove anything")
	}
}

// knowledge is what clients were told.
type knowledge struct {
	mu   sync.Mutex
	last map[string]string // by upload, the last event that must have been recorded before the answer
}

func (k *knowledge) note(location, event string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last[uploadName(location)] = event
}

// look adds what the server tells now of every upload that it has, also of those whose client never heard of them: their events
// must have been recorded at the start. A record that was still empty at the kill is of no upload, and the sweep removes it.
func (k *knowledge) look(t *testing.T, s *server) {
	t.Helper()
	for pattern, path := range map[string]string{"file/*.info": "/files/", "video/*/*.info": "/videos/"} {
		records, err := filepath.Glob(filepath.Join(s.data, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range records {
			location := path + strings.TrimSuffix(filepath.Base(record), ".info")
			if _, known := k.last[uploadName(location)]; !known && isEmpty(t, record) {
				continue
			}
			switch state := s.standing(t, location).State; state {
			case "receiving", "received":
				k.note(location, "created")
			default:
				k.note(location, state)
			}
		}
	}
}

// isEmpty tells that a file has no bytes, or is not there any more.
func isEmpty(t *testing.T, name string) bool {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(raw) == 0
}

// missing tells of an event that the back end lacks; "" if it has all.
func (k *knowledge) missing(b *backEnd) string {
	for name, event := range k.last {
		want := []string{"created"}
		switch event {
		case "ready":
			want = append(want, "received", "ready")
		case "rejected", "terminated":
			want = append(want, event)
		}
		told := b.told(name)
		for _, one := range want {
			if !slices.Contains(told, one) {
				return fmt.Sprintf("%s: got %q, want %q among them", name, told, one)
			}
		}
	}
	return ""
}

// use makes uploads until the server does not answer any more.
func (k *knowledge) use(t *testing.T, s *server, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if !k.useOnce(t, s) {
			return
		}
	}
}

func (k *knowledge) useOnce(t *testing.T, s *server) bool {
	path, refused := "/files/", rand.IntN(5) == 0
	if refused {
		path = "/videos/" // which plain text is not
	}
	body := []byte("some text")
	header := []string{protocol, "Upload-Length: 9"}
	if rand.IntN(2) == 0 {
		resp := k.send(s.request(t, "POST", path, bytes.NewReader(body), 9, append(header, chunkType)...), s)
		return resp != nil && (refused || k.end(t, s, resp.Header.Get("Location")))
	}
	resp := k.send(s.request(t, "POST", path, nil, 0, header...), s)
	if resp == nil {
		return false
	}
	location := resp.Header.Get("Location")
	k.note(location, "created")
	resp = k.send(s.request(t, "PATCH", location, bytes.NewReader(body), 9, protocol, chunkType, "Upload-Offset: 0"), s)
	switch {
	case resp == nil:
		return false
	case refused:
		k.note(location, "rejected")
		return true
	}
	return k.end(t, s, location)
}

// end deletes an upload that is ready, or leaves it.
func (k *knowledge) end(t *testing.T, s *server, location string) bool {
	k.note(location, "ready")
	if rand.IntN(3) > 0 {
		return true
	}
	if k.send(s.request(t, "DELETE", location, nil, 0, protocol), s) == nil {
		return false
	}
	k.note(location, "terminated")
	return true
}

// send returns the answer, nil if none came.
func (k *knowledge) send(req *http.Request, s *server) *http.Response {
	resp, err := s.http.Do(req)
	if err != nil {
		return nil
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil
	}
	return resp
}

func TestAnEndpointThatWasDownIsToldByReplay(t *testing.T) {
	down := true
	var mu sync.Mutex
	b := newBackEnd(t, func(int) bool { mu.Lock(); defer mu.Unlock(); return down })
	s := start(t, b.flags()...)
	location := s.upload(t, "/files/", content{size: 100})
	name := uploadName(location)
	mu.Lock()
	down = false
	mu.Unlock()
	await(t, "what failed is tried again", func() bool { return len(b.told(name)) == 3 })
	b.mu.Lock()
	b.bodies, b.order = make(map[string]string), nil
	b.mu.Unlock()

	args := append([]string{"replay", "--data", s.data, "--private-listen", s.private, "--id", filepath.Base(location), "--delivered"}, b.flags()...)
	if code, stdout, stderr := command(t, args...); code != 0 || !strings.HasPrefix(stdout, "3 events to be delivered again") {
		t.Fatalf("got %d %q %q", code, stdout, stderr)
	}
	await(t, "it is told again", func() bool { return slices.Equal(b.told(name), []string{"created", "received", "ready"}) })
	if code, _, stderr := command(t, append(args, "--endpoint", "nobody")...); code != 1 || !strings.Contains(stderr, "no such endpoint") {
		t.Errorf("got %d %q", code, stderr)
	}
	s.kill()
	if code, stdout, _ := command(t, args...); code != 0 || !strings.HasPrefix(stdout, "3 events to be") { // with no server about
		t.Errorf("got %d %q", code, stdout)
	}
	b.check(t)
}
