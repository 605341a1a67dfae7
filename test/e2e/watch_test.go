package e2e

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

// watcher asks for an upload's offset over and over, as a client does that wants to go on. It collects what no client may
// ever be told.
type watcher struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	offset int64
	told   int // answers with an offset
	locked int // 423
	broken int // refused or closed connections
	lies   []string
}

// watch asks from now until close, at the latest at the end of the test.
func (s *server) watch(t *testing.T, location string) *watcher {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{stop: cancel}
	client := &http.Client{Transport: &http.Transport{}}
	url := "http://" + s.public + location
	w.done.Go(func() {
		defer client.CloseIdleConnections()
		for ctx.Err() == nil {
			w.look(ctx, client, url)
			select {
			case <-time.After(2 * time.Millisecond): // leaves the machine to others
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(w.close)
	return w
}

func (w *watcher) close() {
	w.stop()
	w.done.Wait()
}

func (w *watcher) look(ctx context.Context, client *http.Client, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		w.lie(err.Error())
		return
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	resp, err := client.Do(req)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.broken++
		return
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusLocked:
		w.locked++
	case http.StatusOK:
		w.take(resp.Header.Get("Upload-Offset"))
	default:
		w.lies = append(w.lies, resp.Status)
	}
}

// take notes an offset. mu is held.
func (w *watcher) take(text string) {
	offset, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		w.lies = append(w.lies, "Upload-Offset: "+text)
	case offset < w.offset:
		w.lies = append(w.lies, "offset "+text+" after "+strconv.FormatInt(w.offset, 10))
	default:
		w.offset = offset
		w.told++
	}
}

func (w *watcher) lie(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lies = append(w.lies, text)
}

// answers is how often an offset was told so far.
func (w *watcher) answers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// seen is the last offset that was told.
func (w *watcher) seen() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.offset
}

// awaitMore waits until the watcher has been told an offset again.
func (w *watcher) awaitMore(t *testing.T) {
	t.Helper()
	before := w.answers()
	await(t, "HEAD tells an offset again", func() bool { return w.answers() > before })
}

// judge ends the watch and fails the test for every lie.
func (w *watcher) judge(t *testing.T, what string) {
	t.Helper()
	w.close()
	t.Logf("%s: %d offsets, %d times 423, %d connections refused or closed", what, w.told, w.locked, w.broken)
	for _, lie := range w.lies {
		t.Errorf("%s: HEAD told %s", what, lie)
	}
}
