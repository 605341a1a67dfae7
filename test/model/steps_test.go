package model

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// walk is a server, the model of it, and a way through what can be asked.
type walk struct {
	m        *model
	profiles []profile
	server   *server
	client   client
	seen     tally
}

func newWalk(t *rapid.T, seen tally) *walk {
	// Twice what a connection's small buffer holds is enough to fill it; only a soak fills the large one.
	sizes := []int64{12_000, 70_000}
	if soak() {
		sizes = append(sizes, 2_300_000)
	}
	most := rapid.SampledFrom(sizes).Draw(t, "largest upload")
	w := &walk{m: &model{}, seen: seen, profiles: []profile{
		{name: "file", path: "/files/", max: most},
		{name: "picture", path: "/pictures/", max: most, pictures: true},
	}}
	w.server = newServer(t, w.profiles)
	t.Cleanup(w.client.close)
	a := w.ask(t, request{method: "OPTIONS", target: "/files/", profile: w.profiles[0], body: body{none: true}})
	w.m.extensions = extensionsOf(a)
	return w
}

// steps are what is done at random.
func (w *walk) steps() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"create":  w.step(w.create, nil),
		"append":  w.step(w.append, exists),
		"go on":   w.step(w.goOn, isOpen),
		"look":    w.step(w.look, exists),
		"stray":   w.step(w.stray, nil),
		"join":    w.step(w.join, w.canJoin),
		"restart": w.restart,
	}
}

// step is a step that draws one request, sends it, and looks at what became of its upload. It needs an upload of some kind, if
// needs is not nil.
func (w *walk) step(make func(*rapid.T) request, needs func(*upload) bool) func(*rapid.T) {
	return func(t *rapid.T) {
		if needs != nil && !slices.ContainsFunc(w.m.uploads, needs) {
			t.Skip("there is no upload for it")
		}
		w.do(t, rapid.Custom(make).Draw(t, "request"))
	}
}

func (w *walk) do(t *rapid.T, r request) {
	before := len(w.m.uploads)
	w.ask(t, r)
	w.settle(t)
	if r.upload != nil {
		w.verify(t, r.upload)
	}
	for _, made := range w.m.uploads[before:] {
		w.verify(t, made)
	}
}

// ask sends r and holds the answer against the model.
func (w *walk) ask(t *rapid.T, r request) answer {
	allowed := w.m.answers(r)
	a := w.send(t, r)
	o, wrong := choose(allowed, r, a)
	if wrong != "" {
		fail(t, "%#v\nis answered %v%s", r, a, wrong)
	}
	t.Logf("    %v", a)
	w.seen.add(r.method, a)
	if o.then != nil {
		o.then(a)
	}
	return a
}

func (w *walk) send(t *rapid.T, r request) answer {
	a, err := w.client.exchange(w.server.address, r, w.m.places())
	if err != nil {
		fail(t, "%#v: %v", r, err)
	}
	return a
}

// chance is what is other each time: ids, dates, addresses.
const chance = `[0-9a-f]{32}|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [0-9:]{8} GMT|127\.0\.0\.1:\d+`

// fail ends a sequence. rapid makes it shorter only as long as it fails with the same words twice.
func fail(t *rapid.T, format string, args ...any) {
	t.Fatal(regexp.MustCompile(chance).ReplaceAllString(fmt.Sprintf(format, args...), "~"))
}

// verify asks how u stands, in every way.
func (w *walk) verify(t *rapid.T, u *upload) {
	for _, r := range []request{plain("HEAD", u, single), plain("GET", u, status)} {
		a := w.send(t, r)
		if _, wrong := choose(w.m.answers(r), r, a); wrong != "" {
			fail(t, "after that %#v\nis answered %v%s", r, a, wrong)
		}
	}
}

// plain is a request about u without a body.
func plain(method string, u *upload, where place) request {
	r := request{method: method, target: u.name(), header: []string{version}, body: body{none: true}, place: where, profile: u.profile, upload: u}
	if where == status {
		r.target += "/status"
	}
	return r
}

// restart ends the server and starts it again: nothing may have changed.
func (w *walk) restart(t *rapid.T) {
	w.client.close()
	w.server.stop(t)
	w.server.start(t)
	t.Logf("    started again")
	for _, u := range w.m.uploads {
		w.verify(t, u)
	}
}

// finishAll sends what is missing of every upload and reads all that can be read.
func (w *walk) finishAll(t *rapid.T) {
	for _, u := range w.m.uploads {
		if u.state == receiving && !u.isFinal() {
			w.ask(t, w.rest(u))
			w.settle(t)
		}
	}
	for _, u := range w.m.uploads {
		w.verify(t, u)
		w.ask(t, plain("GET", u, single))
	}
}

// rest is what u lacks; one that has no length yet gets one.
func (w *walk) rest(u *upload) request {
	r := plain("PATCH", u, single)
	at := int64(len(u.content))
	length := u.length
	if length == deferred {
		length = min(at+10, u.profile.max)
		r.header = append(r.header, "Upload-Length: "+number(length))
	}
	r.header = append(r.header, "Content-Type: "+chunkType, "Upload-Offset: "+number(at))
	r.body = body{bytes: filling(at, length-at, 0, true)}
	return r
}

// settle waits until the final uploads whose parts are complete are joined.
func (w *walk) settle(t *rapid.T) {
	for _, u := range w.m.due() {
		w.await(t, u.name()+" to be joined", func() bool {
			state := w.status(t, u).State
			return state != receiving && state != "received"
		})
		for _, part := range u.parts {
			w.await(t, part.name()+" to be part of "+u.name(), func() bool { return w.status(t, part).JoinedIn != "" })
		}
		u.join()
		t.Logf("    %s is %s", u.name(), u.state)
		w.verify(t, u)
	}
}

// status is what the status of u says.
func (w *walk) status(t *rapid.T, u *upload) (got struct{ State, JoinedIn string }) {
	a := w.send(t, plain("GET", u, status))
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		fail(t, "the status of %s is %v", u.name(), a)
	}
	return got
}

func (w *walk) await(t *rapid.T, what string, ok func() bool) {
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			fail(t, "waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}
