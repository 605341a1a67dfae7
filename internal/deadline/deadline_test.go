package deadline

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// pair is two ends of a connection over loopback.
func pair() (one, other *Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	accepted, err := l.Accept()
	if err != nil {
		return nil, nil, err
	}
	return NewConn(dialed.(*net.TCPConn)), NewConn(accepted.(*net.TCPConn)), nil
}

func newPair(t *testing.T) (one, other *Conn) {
	one, other, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close(); other.Close() })
	return one, other
}

// It is a connection like any other: the suite is that of the Go project.
func TestConformance(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		one, other, err := pair()
		if err != nil {
			return nil, nil, nil, err
		}
		return one, other, func() { one.Close(); other.Close() }, nil
	})
}

const (
	soon = 20 * time.Millisecond
	long = time.Hour
)

func TestWhatWasTakenBackEndsNoRead(t *testing.T) {
	for name, change := range map[string]func(*Conn) error{
		"to none":  func(c *Conn) error { return c.SetReadDeadline(time.Time{}) },
		"to later": func(c *Conn) error { return c.SetReadDeadline(time.Now().Add(long)) },
	} {
		t.Run(name, func(t *testing.T) {
			one, other := newPair(t)
			check(t, one.SetReadDeadline(time.Now().Add(soon)))
			read := begin(one)
			await(t, func() bool { return one.armed.Load() != never })
			check(t, change(one))
			time.Sleep(3 * soon)
			if _, err := other.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := <-read; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnEarlierOneEndsTheReadThatIsUnderWay(t *testing.T) {
	for name, at := range map[string]func() time.Time{
		"soon":     func() time.Time { return time.Now().Add(soon) },
		"now":      time.Now,
		"long ago": func() time.Time { return time.Unix(1, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			one, _ := newPair(t)
			check(t, one.SetReadDeadline(time.Now().Add(long)))
			read := begin(one)
			await(t, func() bool { return one.readers.Load() == 1 })
			check(t, one.SetReadDeadline(at()))
			if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

func TestItIsCopiedFromUntilItsEnd(t *testing.T) {
	one, other := newPair(t)
	check(t, one.SetReadDeadline(time.Now().Add(soon)))
	var all bytes.Buffer
	copied := make(chan error, 1)
	go func() {
		_, err := io.Copy(&all, one)
		copied <- err
	}()
	await(t, func() bool { return one.armed.Load() != never })
	check(t, one.SetReadDeadline(time.Time{}))
	time.Sleep(3 * soon)
	if _, err := other.Write([]byte("all of it")); err != nil {
		t.Fatal(err)
	}
	check(t, other.Close())
	if err := <-copied; err != nil || all.String() != "all of it" {
		t.Error(all.String(), err)
	}
}

// A peer that is gone, as the kernel finds out by itself, times out too. That is no deadline.
func TestOtherTimeoutsAreTold(t *testing.T) {
	one, _ := newPair(t)
	lost := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)}
	if !lost.Timeout() {
		t.Fatal("this is one")
	}
	check(t, one.Begin())
	if one.End(0, lost) {
		t.Error("it is to be read again")
	}
}

// Deadlines are set by one while another reads, at random, and hardly ever reached: no byte is lost, no read ends early, and the
// last one, which is to end it, does.
func TestNoDeadlineIsLost(t *testing.T) {
	const rounds = 300
	one, other := newPair(t)
	go func() {
		for i := range rounds {
			other.Write([]byte{byte(i)})
			time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
		}
	}()
	var end atomic.Bool
	var setting sync.WaitGroup
	for range 3 {
		setting.Go(func() {
			for !end.Load() {
				switch rand.IntN(3) {
				case 0:
					one.SetReadDeadline(time.Time{})
				default:
					one.SetReadDeadline(time.Now().Add(time.Minute + time.Duration(rand.IntN(1000))*time.Second))
				}
				time.Sleep(time.Duration(rand.IntN(20)) * time.Microsecond)
			}
		})
	}
	for i := range rounds {
		var b [1]byte
		if _, err := io.ReadFull(one, b[:]); err != nil || b[0] != byte(i) {
			t.Fatal(i, b, err)
		}
	}
	end.Store(true)
	setting.Wait()
	for range rounds { // whoever reads sees it, whichever comes first
		one.SetReadDeadline(time.Time{})
		read := begin(one)
		one.SetReadDeadline(time.Unix(1, 0))
		if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
}

// One that is set in the very moment in which another is over that was taken back.
func TestNoDeadlineIsLostWhileOneIsMoved(t *testing.T) {
	one, _ := newPair(t)
	for range 2000 {
		check(t, one.SetReadDeadline(time.Now().Add(50*time.Microsecond)))
		read := begin(one)
		check(t, one.SetReadDeadline(time.Time{}))
		spin(time.Duration(rand.IntN(150)) * time.Microsecond)
		check(t, one.SetReadDeadline(time.Now()))
		if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
}

// One is set while another is moved away, later than the one that the connection has still: the read ends all the same.
func TestWhoMovesLooksAgain(t *testing.T) {
	one, _ := newPair(t)
	arm := one.arm
	one.arm = func(at time.Time) error {
		err := arm(at)
		if at.IsZero() {
			one.SetReadDeadline(time.Now().Add(2 * soon))
		}
		return err
	}
	check(t, one.SetReadDeadline(time.Now().Add(soon)))
	read := begin(one)
	await(t, func() bool { return one.armed.Load() != never })
	one.set.Store(never) // as by somebody else, just before
	check(t, one.move())
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

func spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

// begin reads a byte beside its caller.
func begin(c *Conn) <-chan error {
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	return read
}

func await(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What net/http does with the read deadline of a connection for each request.
func BenchmarkRequest(b *testing.B) {
	one, other, err := pair()
	if err != nil {
		b.Fatal(err)
	}
	defer one.Close()
	defer other.Close()
	for name, c := range map[string]net.Conn{"cheap": one, "net": one.TCPConn} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, d := range []time.Duration{10 * time.Second, 0, 0, -time.Hour, 0, time.Minute, 0} {
					var t time.Time
					if d != 0 {
						t = time.Now().Add(d)
					}
					c.SetReadDeadline(t)
				}
			}
		})
	}
}
