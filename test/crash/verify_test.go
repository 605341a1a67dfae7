package crash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"

	"golang.org/x/image/webp"
)

// each calls do for every upload, several at a time. Those that are joined from others come last.
func (c *client) each(us []*upload, do func(*upload) error) {
	for _, joined := range []bool{false, true} {
		work := make(chan *upload)
		var workers sync.WaitGroup
		for range clients {
			workers.Go(func() {
				for u := range work {
					_ = do(u) // reported
				}
			})
		}
		for _, u := range us {
			if (u.parts != nil) == joined && !c.report.failed() {
				work <- u
			}
		}
		close(work)
		workers.Wait()
	}
}

// verify holds an upload against what its client knows of it, after a kill.
func (c *client) verify(ctx context.Context, u *upload) error {
	if u.get(&u.made) != yes {
		return nil
	}
	before, held := u.known(), u.indivisible()
	offset, err := c.head(ctx, u)
	c.countChance(u, before, held, offset, errors.Is(err, errGone))
	switch {
	case errors.Is(err, errGone):
		return c.verifyGone(ctx, u)
	case err != nil:
		return err
	case u.get(&u.removed) == yes:
		return c.wrong(u, "it is there, and its removal was answered")
	}
	u.set(&u.removed, no) // it did not come to that
	err = c.verifyContent(ctx, u)
	if err == nil {
		c.world.outlives(u)
	}
	return err
}

// indivisible is what only counts as a whole, empty if there is no such thing.
func (u *upload) indivisible() span {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.held
}

// countChance notes which way it went where the kill left that open.
func (c *client) countChance(u *upload, before known, held span, offset int64, gone bool) {
	switch {
	case u.get(&u.removed) == perhaps:
		c.world.chance(fmt.Sprintf("unanswered DELETE, done: %t", gone))
	case held.to > held.from:
		c.world.chance(fmt.Sprintf("unanswered checked chunk, counts: %t", offset == held.to))
	case offset > before.acked:
		c.world.chance("bytes of an unanswered chunk count")
	}
}

// verifyGone judges an upload that the server does not know.
func (c *client) verifyGone(ctx context.Context, u *upload) error {
	if err := c.lookAtWhole(ctx, u); err != nil {
		return err
	}
	if !u.mayBeGone() {
		return c.wrong(u, "it is gone")
	}
	if u.kind == part {
		u.join()
	}
	c.world.bury(u)
	return nil
}

// lookAtWhole finds out how what a part belongs to stands.
func (c *client) lookAtWhole(ctx context.Context, u *upload) error {
	if u.whole == nil || u.whole.get(&u.whole.made) != yes {
		return nil
	}
	if _, err := c.head(ctx, u.whole); err != nil && !errors.Is(err, errGone) {
		return err
	}
	return nil
}

func (c *client) verifyContent(ctx context.Context, u *upload) error {
	switch {
	case u.parts != nil && u.missing(first) == nil:
		return c.verifyFinished(ctx, u)
	case u.parts != nil:
		return nil // there is nothing of it yet
	case u.full() && u.kind != part:
		return c.verifyFinished(ctx, u)
	}
	return c.verifyStored(ctx, u)
}

func first(int) int { return 0 }

// verifyStored compares what is stored of an unfinished upload. The bytes of a part that is joined may be in the other alone.
func (c *client) verifyStored(ctx context.Context, u *upload) error {
	stored := c.world.compareStored(u)
	if errors.Is(stored, fs.ErrNotExist) && u.kind == part && u.full() {
		if err := c.lookAtWhole(ctx, u); err != nil {
			return err
		}
		if u.mayBeGone() {
			u.join()
			return nil
		}
	}
	if stored != nil {
		return c.wrong(u, "%v", stored)
	}
	return nil
}

// verifyFinished waits until a complete upload has its verdict, and reads it.
func (c *client) verifyFinished(ctx context.Context, u *upload) error {
	var told status
	err := c.await(ctx, u, "it is ready or rejected", func() (ok bool, err error) {
		if u.parts != nil {
			if _, err = c.head(ctx, u); err != nil || !u.full() {
				return false, err
			}
		}
		told, err = c.status(ctx, u)
		return u.finished(), err
	})
	if err != nil {
		return err
	}
	if u.known().state == rejected {
		return c.expect(ctx, u, u.at(), http.StatusGone)
	}
	if err := c.download(ctx, u); err != nil {
		return err
	}
	return c.verifyVariants(ctx, u, told)
}

// await waits until ok is true of u.
func (c *client) await(ctx context.Context, u *upload, what string, ok func() (bool, error)) error {
	for deadline := time.Now().Add(patience); ; {
		done, err := ok()
		switch {
		case done || err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return c.wrong(u, "waited in vain until %s", what)
		}
		time.Sleep(2 * time.Millisecond) // between two looks
	}
}

func (c *client) expect(ctx context.Context, u *upload, path string, want int) error {
	a, err := c.ask(ctx, request{method: http.MethodGet, path: path})
	if err == nil && a.status != want {
		return c.wrong(u, "GET %s: got %d %s, want %d", path, a.status, a.body, want)
	}
	return err
}

// download reads the whole content and compares it.
func (c *client) download(ctx context.Context, u *upload) error {
	req, err := request{method: http.MethodGet, path: u.at()}.build(ctx, c.base)
	if err != nil {
		return c.wrong(u, "GET: %v", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.wrong(u, "GET: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != u.file.size {
		return c.wrong(u, "GET: got %d with %d bytes, want 200 with %d", resp.StatusCode, resp.ContentLength, u.file.size)
	}
	if err := u.file.compare(resp.Body, 0, u.file.size); err != nil {
		return c.wrong(u, "GET: %v", err)
	}
	_, err = io.Copy(io.Discard, resp.Body) // its end, for the connection's sake
	return err
}

// verifyVariants reads the variants: whole pictures of the right size, and the same each time.
func (c *client) verifyVariants(ctx context.Context, u *upload, told status) error {
	want := u.kind.profile.variants
	if len(told.Variants) != len(want) {
		return c.wrong(u, "it has %d variants, want %d", len(told.Variants), len(want))
	}
	for i, v := range told.Variants {
		a, err := c.ask(ctx, request{method: http.MethodGet, path: v.URL})
		switch {
		case err != nil:
			return err
		case v.Name != want[i] || a.status != http.StatusOK:
			return c.wrong(u, "variant %q, want %q: got %d %s", v.Name, want[i], a.status, a.body)
		}
		if err := u.checkVariant(v.Name, a.body); err != nil {
			return c.wrong(u, "variant %s: %v", v.Name, err)
		}
		for _, other := range v.Alternatives {
			if err := c.verifyAlternative(ctx, u, v.Name, other.URL); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *client) verifyAlternative(ctx context.Context, u *upload, name, url string) error {
	a, err := c.ask(ctx, request{method: http.MethodGet, path: url})
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return c.wrong(u, "variant %s: got %d %s", url, a.status, a.body)
	}
	if err := u.checkAgain(path.Base(url), name, a.body, webp.Decode); err != nil {
		return c.wrong(u, "variant %s: %v", url, err)
	}
	return nil
}

func (u *upload) checkVariant(name string, data []byte) error {
	return u.checkAgain(name, name, data, jpeg.Decode)
}

// checkAgain checks a file with a square whose edge is said, and that it is the same as the last time.
func (u *upload) checkAgain(name, edge string, data []byte, decode func(io.Reader) (image.Image, error)) error {
	digest := fmt.Sprintf("%x", sha256.Sum256(data))
	if before, seen := u.variants[name]; seen {
		if digest != before {
			return fmt.Errorf("it has changed")
		}
		return nil
	}
	img, err := decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if size := img.Bounds().Size(); strconv.Itoa(size.X) != edge || size.X != size.Y {
		return fmt.Errorf("it has the size %v", size)
	}
	if u.variants == nil {
		u.variants = make(map[string]string)
	}
	u.variants[name] = digest
	return nil
}
