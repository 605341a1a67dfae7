package crash

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// rival is a request that adds bytes, and stands still in the middle of them.
type rival struct {
	io.Reader
	still chan struct{} // closed when it stands still
	stand func()
	let   chan struct{} // closed to have it break off
	done  chan struct{} // closed when it has ended
	a     answer
	err   error
}

// canStall tells whether there are bytes to send, and more to leave out.
func (u *upload) canStall() bool { return !u.full() && u.file.size-u.known().acked > 1 }

// stall begins a chunk that never ends. Its caller has it end.
func (c *client) stall(ctx context.Context, u *upload, k chunk) *rival {
	k.to = min(k.to, u.file.size-1)
	still := make(chan struct{})
	v := &rival{still: still, stand: sync.OnceFunc(func() { close(still) }), let: make(chan struct{}), done: make(chan struct{})}
	u.begin(k)
	q := k.request(u)
	v.Reader, q.body, q.frail = q.body, v, true
	q.length = u.file.size - k.from // more than will come
	go func() {
		defer close(v.done)
		v.a, v.err = c.ask(ctx, q)
		v.stand()
	}()
	<-v.still
	return v
}

// Read stands still where there is nothing more.
func (v *rival) Read(p []byte) (int, error) {
	n, err := v.Reader.Read(p)
	if n > 0 || err == nil {
		return n, nil
	}
	v.stand()
	select {
	case <-v.let:
	case <-v.done:
	}
	return 0, io.ErrUnexpectedEOF
}

// answerWithin is how long a rival is given to get the answer of one who was interrupted. If it comes later, less is known.
const answerWithin = time.Second

// end has the rival break off, unless it is answered before.
func (v *rival) end(ctx context.Context) {
	select {
	case <-v.done:
	case <-ctx.Done():
	case <-time.After(answerWithin):
	}
	close(v.let)
	<-v.done
}

// takeOver has somebody else ask for the offset while a chunk stands still, and go on from there. The one that stands still
// may be late, and interrupt the other in turn.
func takeOver(ctx context.Context, c *client, u *upload) error {
	if err := c.carryOn(ctx, u, 0); err != nil {
		return err
	}
	if !u.canStall() {
		return c.carryOn(ctx, u, 1)
	}
	v := c.stall(ctx, u, u.kind.next(c.rand, u))
	_, err := c.look(ctx, u)
	if err == nil {
		k := u.kind.next(c.rand, u)
		k.rivalled = true
		err = c.patch(ctx, u, k)
	}
	v.end(ctx)
	switch {
	case err != nil:
		return err
	case v.err != nil:
		return v.err
	case v.a.status < 400 || v.a.status >= 500:
		return c.wrong(u, "the interrupted client got %d %s", v.a.status, v.a.body)
	}
	return nil
}

// cutDown removes an upload sooner or later, now and then while a chunk of it stands still.
func cutDown(ctx context.Context, c *client, u *upload) error {
	if err := c.carryOn(ctx, u, c.rand.IntN(3)); err != nil {
		return err
	}
	switch {
	case c.rand.IntN(4) > 0:
		return nil
	case !u.canStall() || c.rand.IntN(2) == 0:
		return c.remove(ctx, u)
	}
	v := c.stall(ctx, u, u.kind.next(c.rand, u))
	err := c.remove(ctx, u)
	v.end(ctx)
	if err == nil && v.err == nil && v.a.status == http.StatusNoContent {
		return c.wrong(u, "a chunk that never ended was answered 204")
	}
	return err
}
