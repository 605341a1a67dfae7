package events_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/hooks"

	"sluice/internal/events"
	"sluice/internal/upload"
)

// full has something in every field that is told.
func full() upload.Record {
	return upload.Record{
		ID: "u1", Profile: "video", Owner: "me", Length: 5, Offset: 5, State: upload.Ready, MediaType: "video/mp4",
		Metadata: "filename " + base64.StdEncoding.EncodeToString([]byte("ä <b>.mp4")) + ",flag",
		Variants: []upload.Variant{{Name: "64", MediaType: "image/png", Width: 64, Height: 64, Bytes: 9}},
		Reason:   upload.Reject(upload.CodeTooLarge, "No."), Created: noon, Changed: noon.Add(time.Second), Expires: noon.Add(time.Hour),
		Digest: "sha-256=:AA==:", Final: true, Parts: []upload.ID{"p1", "p2"},
	}
}

// deliver returns what an endpoint is sent of an event.
func deliver(t *testing.T, ev upload.Event, alter func(*upload.Endpoint)) got {
	t.Helper()
	e := newEndpoint(t, nil)
	to := e.configured()
	alter(&to)
	o := options(newDir(t), to)
	o.URL = func(rec upload.Record) string { return "https://up.load/" + rec.Profile + "/" + string(rec.ID) }
	o.Path = func(rec upload.Record) string { return "data/" + rec.Profile + "/" + string(rec.ID) }
	b := open(t, o)
	if err := b.Record(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	return e.awaitTaken(t, 1)[0]
}

func TestAnEndpointIsSentWhatABackEndNeeds(t *testing.T) {
	ev := upload.NewEvent(upload.EventReady, full())
	g := deliver(t, ev, func(*upload.Endpoint) {})
	want := `{"type":"upload.ready","timestamp":"2026-01-02T12:00:01Z","version":1,"id":"` + ev.ID() + `","data":{"id":"u1",` +
		`"profile":"video","owner":"me","state":"ready","reason":{"code":"too_large","message":"No."},"size":5,"offset":5,` +
		`"mediaType":"video/mp4","digest":"sha-256=:AA==:","metadata":{"filename":"ä \u003cb\u003e.mp4","flag":""},` +
		`"variants":[{"name":"64","mediaType":"image/png","width":64,"height":64,"bytes":9}],"url":"https://up.load/video/u1",` +
		`"path":"data/video/u1","created":"2026-01-02T12:00:00Z","expires":"2026-01-02T13:00:00Z","final":true,"parts":["p1","p2"]}}`
	if got := string(g.body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := g.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("got %q", got)
	}
	if g.header.Get("webhook-signature") != "" {
		t.Error("it is signed without a key")
	}
}

func TestAnUnknownLengthIsNull(t *testing.T) {
	rec := full()
	rec.Length = upload.Deferred
	if g := deliver(t, upload.NewEvent(upload.EventCreated, rec), func(*upload.Endpoint) {}); !bytes.Contains(g.body, []byte(`"size":null`)) {
		t.Errorf("got %s", g.body)
	}
}

func TestDeliveriesAreSignedByEveryKey(t *testing.T) {
	keys := []string{upload.NewKey(), upload.NewKey()}
	ev := upload.NewEvent(upload.EventReady, full())
	g := deliver(t, ev, func(e *upload.Endpoint) { e.Keys = keys })
	for i, key := range append(keys, upload.NewKey()) {
		verifier, err := webhooks.NewWebhook(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(g.body, g.header); (err == nil) != (i < 2) {
			t.Errorf("key %d: got %v", i, err)
		}
		if err := verifier.Verify(append(g.body, ' '), g.header); err == nil {
			t.Errorf("key %d: another body passes", i)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(keys[1], "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, raw) // by the words of the specification, without its library
	fmt.Fprintf(mac, "%s.%s.%s", ev.ID(), g.header.Get("webhook-timestamp"), g.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if got := strings.Fields(g.header.Get("webhook-signature")); len(got) != 2 || got[1] != want {
		t.Errorf("got %q, want the second to be %q", got, want)
	}
}

func TestTusdsHooksAreWhatTusdSends(t *testing.T) {
	rec := full()
	g := deliver(t, upload.NewEvent(upload.EventReady, rec), func(e *upload.Endpoint) { e.Format = upload.Tusd })
	var sent hooks.HookRequest
	strict := json.NewDecoder(bytes.NewReader(g.body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&sent); err != nil {
		t.Fatal(err)
	}
	want := hooks.HookRequest{Type: hooks.HookPostFinish, Event: handler.HookEvent{Upload: handler.FileInfo{
		ID: "u1", Size: 5, Offset: 5, MetaData: handler.MetaData{"filename": "ä <b>.mp4", "flag": ""}, IsFinal: true,
		PartialUploads: []string{"p1", "p2"},
		Storage:        map[string]string{"Type": "filestore", "Path": "data/video/u1", "InfoPath": "data/video/u1.info"},
	}, HTTPRequest: handler.HTTPRequest{Header: http.Header{}}}}
	theirs, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decoded(t, theirs), decoded(t, g.body)); diff != "" {
		t.Errorf("tusd's is -, ours is +:\n%s", diff)
	}
	if got := g.header.Get("Hook-Name"); got != "post-finish" {
		t.Errorf("got %q", got)
	}
}

func decoded(t *testing.T, raw []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestATusdBackEndIsSentTheHooksThatItKnows(t *testing.T) {
	e := newEndpoint(t, nil)
	to := e.configured()
	to.Format = upload.Tusd
	b := open(t, options(newDir(t), to))
	tell(t, b, "u", upload.EventTypes()...)
	part := record("part", upload.Received)
	part.Partial = true
	if err := b.Record(t.Context(), upload.NewEvent(upload.EventReceived, part)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range e.awaitTaken(t, 6) {
		if bytes.Contains(g.body, []byte(`"u"`)) {
			names = append(names, g.header.Get("Hook-Name"))
		} else if got := g.header.Get("Hook-Name"); got != "post-finish" {
			t.Errorf("of a part: got %q", got)
		}
	}
	want := []string{"post-create", "post-finish", "post-terminate", "post-terminate", "post-terminate"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestAnEndpointIsSentTheTypesThatItWants(t *testing.T) {
	e := newEndpoint(t, nil)
	to := e.configured()
	to.Types = []upload.EventType{upload.EventReady}
	b := open(t, options(newDir(t), to))
	tell(t, b, "u", upload.EventTypes()...)
	tell(t, b, "v", upload.EventReady)
	e.awaitTaken(t, 2)
	for _, g := range e.requests() {
		if g.Type != upload.EventReady {
			t.Errorf("got %s", g.Type)
		}
	}
}

func TestRedirectsAreFailures(t *testing.T) {
	reached := newEndpoint(t, nil)
	asked := make(chan struct{}, 100)
	e := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, reached.URL, http.StatusTemporaryRedirect)
		asked <- struct{}{}
	}))
	defer e.Close()
	b := open(t, options(newDir(t), upload.Endpoint{Name: "back-end", URL: e.URL, AllowPrivate: true}))
	tell(t, b, "u", upload.EventCreated)
	<-asked
	<-asked // so the first answer was no success
	b.Close()
	if n := len(reached.requests()); n > 0 {
		t.Errorf("%d requests went where the redirect led", n)
	}
}

func TestAProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	proxy := newEndpoint(t, nil)
	t.Setenv("HTTP_PROXY", proxy.URL) // which net/http reads once a process, so this is proof only if no other test came before
	var said words
	o := options(newDir(t), upload.Endpoint{Name: "back-end", URL: "http://back.invalid", AllowPrivate: true})
	o.Logger = said.logger()
	b := open(t, o)
	tell(t, b, "u", upload.EventCreated)
	said.await(t, "a delivery failed")
	b.Close()
	if n := len(proxy.requests()); n > 0 {
		t.Errorf("%d requests came", n)
	}
}

func TestAPrivateAddressIsNotConnectedTo(t *testing.T) {
	e := newEndpoint(t, nil)
	port := e.URL[strings.LastIndexByte(e.URL, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"} {
		t.Run(host, func(t *testing.T) {
			var said words
			o := options(newDir(t), upload.Endpoint{Name: "back-end", URL: "http://" + host + port})
			o.Logger = said.logger()
			b := open(t, o)
			tell(t, b, "u", upload.EventCreated)
			said.await(t, "a delivery failed")
		})
	}
	if n := len(e.requests()); n > 0 {
		t.Errorf("%d requests came", n)
	}
}

func TestWhichAddressesAreReachable(t *testing.T) {
	for _, tt := range []struct {
		addrs           string
		public, private bool
	}{
		{"8.8.8.8 1.1.1.1 93.184.216.34 2606:4700::1111 2a00:1450::1", true, true},
		{"127.0.0.1 127.9.9.9 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.1.1 100.64.0.1", false, true},
		{"::1 fe80::1 fe80::1%eth0 fc00::1 fd12::1 fec0::1", false, true},
		{"::ffff:8.8.8.8 ::ffff:127.0.0.1 64:ff9b::808:808 64:ff9b:1::1 2002:7f00:1:: 2001::1 ::7f00:1", false, true},
		{"192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 240.0.0.1 2001:db8::1 3fff::1", false, true},
		{"169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe fd00:ec2::254 100.100.100.200 168.63.129.16 192.0.0.192", false, false},
		{"0.0.0.0 0.1.2.3 :: 224.0.0.1 239.1.1.1 ff02::1 255.255.255.255", false, false},
	} {
		for _, text := range strings.Fields(tt.addrs) {
			addr := netip.MustParseAddr(text)
			if got := events.Reachable(addr, false); got != tt.public {
				t.Errorf("%s: got %t, want %t", addr, got, tt.public)
			}
			if got := events.Reachable(addr, true); got != tt.private {
				t.Errorf("%s, where private ones are allowed: got %t, want %t", addr, got, tt.private)
			}
		}
	}
}

func TestSecretsStayOutOfLogsAndErrors(t *testing.T) {
	key := upload.NewKey()
	var said words
	secret := upload.Endpoint{Name: "back-end", URL: "http://user:hush@127.0.0.1:1/hook?token=hush", Keys: []string{key}, AllowPrivate: true}
	o := options(newDir(t), secret)
	o.Logger = said.logger()
	o.Backoff.Give = time.Nanosecond
	b := open(t, o)
	tell(t, b, "u", upload.EventCreated)
	said.await(t, "given up")
	b.Close()
	texts := []string{said.String(), fmt.Sprint(secret), fmt.Sprintf("%+v %#v", secret, &secret), slog.AnyValue(secret).Resolve().String()}
	secret.URL, secret.Keys = "hush://hush", []string{"hush"}
	for _, fault := range secret.Check() {
		texts = append(texts, fault.Error())
	}
	for _, text := range texts {
		if strings.Contains(text, "hush") || strings.Contains(text, key) {
			t.Errorf("a secret is in %q", text)
		}
	}
}

func TestWrongEndpointsAreRefused(t *testing.T) {
	good := upload.Endpoint{Name: "a", URL: "https://back.end/hook", Keys: []string{upload.NewKey()}}
	if faults := good.Check(); len(faults) > 0 {
		t.Fatal(faults)
	}
	wrong := map[string]func(*upload.Endpoint){
		"name":     func(e *upload.Endpoint) { e.Name = "../x" },
		"url":      func(e *upload.Endpoint) { e.URL = "ftp://back.end" },
		"https":    func(e *upload.Endpoint) { e.URL = "https:///hook" },
		"format":   func(e *upload.Endpoint) { e.Format = "xml" },
		"key 2":    func(e *upload.Endpoint) { e.Keys = append(e.Keys, "whsec_AAAA") },
		"negative": func(e *upload.Endpoint) { e.Timeout = -1 },
		"type":     func(e *upload.Endpoint) { e.Types = []upload.EventType{"upload.eaten"} },
	}
	for _, about := range slices.Sorted(maps.Keys(wrong)) {
		e := good
		wrong[about](&e)
		if faults := e.Check(); len(faults) != 1 || !strings.Contains(faults[0].Error(), about) {
			t.Errorf("got %v, want one about %q", faults, about)
		}
		if _, err := events.Open(options(newDir(t), e)); err == nil {
			t.Errorf("%s: it was opened", about)
		}
	}
	if _, err := events.Open(options(newDir(t), good, good)); err == nil {
		t.Error("two of one name were opened")
	}
}
