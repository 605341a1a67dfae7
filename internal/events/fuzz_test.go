package events_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
	"sluice/internal/events"
	"sluice/internal/upload"
)

func TestLinesAreReadAsTheyWereWritten(t *testing.T) {
	texts := []string{"", "x", strings.Repeat("long", 50_000), "y z", "deadbeef x"}
	var raw []byte
	for _, text := range texts {
		raw = events.AppendLine(raw, text)
	}
	got, damaged, size, err := events.Lines(iotest.OneByteReader(bytes.NewReader(raw)))
	if strings.Join(got, "|") != strings.Join(texts, "|") || damaged > 0 || size != int64(len(raw)) || err != nil {
		t.Errorf("got %d lines, %d damaged, %d bytes, %v", len(got), damaged, size, err)
	}
}

func TestALineThatIsTooLongIsPassedOver(t *testing.T) {
	raw := events.AppendLine(nil, strings.Repeat("x", 20<<20))
	raw = events.AppendLine(raw, "after")
	got, damaged, _, err := events.Lines(bytes.NewReader(raw))
	if len(got) != 1 || got[0] != "after" || damaged != 1 || err != nil {
		t.Errorf("got %d lines, %d damaged, %v", len(got), damaged, err)
	}
}

// Whatever the bytes, they are all gone through, and what is written between two newlines comes out.
func FuzzLines(f *testing.F) {
	f.Add([]byte(nil), []byte("x"))
	f.Add(events.AppendLine(nil, "one"), []byte("two"))
	f.Add([]byte("00000000 \n"), []byte("\x00"))
	f.Fuzz(func(t *testing.T, before, text []byte) {
		text = bytes.ReplaceAll(text, []byte("\n"), nil)
		raw := append(bytes.Clone(before), '\n')
		raw = events.AppendLine(raw, string(text))
		raw = append(raw, before...)
		got, _, size, err := events.Lines(bytes.NewReader(raw))
		if err != nil || size != int64(len(raw)) {
			t.Fatalf("%d of %d bytes, %v", size, len(raw), err)
		}
		for _, line := range got {
			if line == string(text) {
				return
			}
		}
		t.Errorf("%q is not among %q", text, got)
	})
}

// An outbox opens on whatever it finds, and delivers what is recorded from then on.
func FuzzOpen(f *testing.F) {
	good := func(text string) []byte { return events.AppendLine(nil, text) }
	f.Add([]byte("torn"), []byte("{}"), []byte(nil), []byte(`{"format":1}`))
	f.Add(good("1 2 {}"), good(`{"snapshot":{"next":5000000,"open":[{"at":1},{"at":-7}],"done":[3]}}`), good(`{"event":{}}`), []byte("{"))
	f.Add(good(`1 2 {"body":{"id":"x","type":"upload.ready","data":{"id":"u","profile":"p"}}}`), good(`{"done":1}`), good("{}"), []byte(nil))
	f.Fuzz(func(t *testing.T, log, state, dead, mark []byte) {
		disk := faultfs.NewDisk()
		for name, raw := range map[string][]byte{
			"events-0000000000000001.log": log, "endpoint-back-end.state": state, "endpoint-back-end.dead": dead, "mark.json": mark,
		} {
			if err := durable.WriteFile(disk, name, raw, false); err != nil {
				t.Fatal(err)
			}
		}
		e := &endpoint{change: make(chan struct{}, 1)}
		b, err := events.Open(events.WithTransport(options(disk, upload.Endpoint{Name: "back-end", URL: "http://back.end"}), e))
		if err != nil {
			if strings.Contains(err.Error(), "newer version") {
				return
			}
			t.Fatal(err)
		}
		defer b.Close()
		tell(t, b, "fresh", upload.EventCreated)
		if _, err := b.Replay(t.Context(), upload.Replay{}); err != nil {
			t.Error(err)
		}
		e.await(t, "the fresh event", func() bool {
			for _, g := range e.taken() {
				if g.Data.ID == "fresh" {
					return true
				}
			}
			return false
		})
	})
}

func BenchmarkRecord(b *testing.B) {
	for _, callers := range []struct {
		name string
		n    int
	}{{"1", 1}, {"16", 16}, {"256", 256}} {
		for name, isDurable := range map[string]bool{"durable": true, "not": false} {
			b.Run(name+"/"+callers.name, func(b *testing.B) { benchmark(b, callers.n, isDurable) })
		}
	}
}

func BenchmarkDeliver(b *testing.B) {
	taken := make(chan struct{}, 1000)
	e := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { taken <- struct{}{} }))
	defer e.Close()
	root, err := durable.OpenRoot(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	o := options(root, upload.Endpoint{Name: "back-end", URL: e.URL, AllowPrivate: true})
	o.Durable = false
	box, err := events.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer box.Close()
	for i := range b.N {
		ev := upload.NewEvent(upload.EventReady, record(upload.ID(fmt.Sprint("u", i)), upload.Ready))
		if err := box.Record(b.Context(), ev); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		<-taken
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func benchmark(b *testing.B, callers int, isDurable bool) {
	dir := b.TempDir()
	if at := os.Getenv("SLUICE_BENCH_DIR"); at != "" {
		var err error
		if dir, err = os.MkdirTemp(at, "events"); err != nil {
			b.Fatal(err)
		}
		defer os.RemoveAll(dir)
	}
	root, err := durable.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	o := options(root, upload.Endpoint{Name: "back-end", URL: "http://127.0.0.1:1", AllowPrivate: true})
	o.Durable, o.Backoff = isDurable, events.Backoff{}
	box, err := events.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer box.Close()
	ev := upload.NewEvent(upload.EventReady, record("u", upload.Ready)) // one upload: the endpoint is asked only now and then
	b.SetParallelism(callers)
	b.ResetTimer()
	done := make(chan error, callers)
	for c := range callers {
		go func() {
			for i := c; i < b.N; i += callers {
				if err := box.Record(b.Context(), ev); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
