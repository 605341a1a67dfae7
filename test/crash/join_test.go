package crash

import (
	"context"
	"net/http"
	"strings"
)

// joinUp carries on an upload that is joined from parts (tus 1.0.0, "Concatenation"). It is announced as soon as all its
// parts are, or later, or when they are complete.
func joinUp(ctx context.Context, c *client, u *upload) error {
	if err := c.announceParts(ctx, u); err != nil {
		return err
	}
	p := u.missing(c.rand.IntN)
	if u.get(&u.made) == no && (p == nil || c.rand.IntN(3) == 0) {
		if err := c.announceJoined(ctx, u); err != nil {
			return err
		}
	}
	if p != nil {
		return c.carryOn(ctx, p, 1+c.rand.IntN(3))
	}
	return c.lookAtJoined(ctx, u)
}

func (c *client) announceParts(ctx context.Context, u *upload) error {
	for _, p := range u.parts {
		if p.get(&p.made) == no {
			if err := c.create(ctx, p, p.kind.firstChunk(c.rand, p)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *client) announceJoined(ctx context.Context, u *upload) error {
	locations := make([]string, 0, len(u.parts))
	for _, p := range u.parts {
		locations = append(locations, p.at())
	}
	u.concat = "final;" + strings.Join(locations, " ")
	return c.create(ctx, u, chunk{})
}

// missing is a part that has not all its bytes, nil if there is none.
func (u *upload) missing(choose func(n int) int) *upload {
	var found []*upload
	for _, p := range u.parts {
		if p.known().acked < p.file.size {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[choose(len(found))]
}

// lookAtJoined asks for an upload whose parts are complete. It is joined in the background.
func (c *client) lookAtJoined(ctx context.Context, u *upload) error {
	if _, err := c.head(ctx, u); err != nil {
		return err
	}
	if _, err := c.status(ctx, u); err != nil || c.rand.IntN(3) > 0 {
		return err
	}
	return c.checkClosed(ctx, u)
}

// checkClosed sees that nobody can add to an upload that is joined from others.
func (c *client) checkClosed(ctx context.Context, u *upload) error {
	a, err := c.ask(ctx, request{method: http.MethodPatch, path: u.at(), body: strings.NewReader("x"), length: 1,
		header: []string{"Upload-Offset: 0", "Content-Type: application/offset+octet-stream"}})
	if err == nil && a.status != http.StatusForbidden {
		return c.wrong(u, "PATCH of what is joined: got %d %s, want 403", a.status, a.body)
	}
	return err
}

// completeJoined carries the parts on until nothing is missing, and waits until they are joined.
func (c *client) completeJoined(ctx context.Context, u *upload) error {
	if err := c.announceParts(ctx, u); err != nil {
		return err
	}
	if u.get(&u.made) == no {
		if err := c.announceJoined(ctx, u); err != nil {
			return err
		}
	}
	for _, p := range u.parts {
		if p.known().acked < p.file.size {
			if err := c.complete(ctx, p); err != nil {
				return err
			}
		}
	}
	return c.await(ctx, u, "it is joined", func() (bool, error) {
		_, err := c.head(ctx, u)
		return u.full(), err
	})
}
