package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// line is a connection without a client library: what is written is what goes out.
type line struct {
	conn *net.TCPConn
	r    *bufio.Reader
}

// dial opens a line to the server, closed when the test ends.
func (s *server) dial(t *testing.T) *line {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.public, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	l := &line{conn.(*net.TCPConn), bufio.NewReader(conn)}
	l.within(t, patience)
	return l
}

// within bounds how long the line may be used from now on: less than patience where there are many that might hang.
func (l *line) within(t *testing.T, d time.Duration) {
	t.Helper()
	if err := l.conn.SetDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

// write sends text as it is. A server that hangs up early shows in its answer.
func (l *line) write(text []byte) { _, _ = l.conn.Write(text) }

// begin sends the head of a PATCH that promises length bytes, and the first of them.
func (l *line) begin(location string, offset, length int64, first []byte) {
	l.write(fmt.Appendf(nil, "PATCH %s HTTP/1.1\r\nHost: sluice\r\n%s\r\n%s\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n\r\n",
		location, protocol, chunkType, offset, length))
	l.write(first)
}

// answer reads the answer to a request of that method. io.EOF, or another error, means that the connection was closed.
func (l *line) answer(method string) (reply, error) {
	resp, err := http.ReadResponse(l.r, &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.ContentLength < 0 && errors.Is(err, syscall.ECONNRESET) {
		err = nil // a body that lasts until the connection ends, which it may do so when the server leaves bytes unread
	}
	return reply{resp.StatusCode, resp.Header, body, resp.Close}, err
}

// closed waits until the server ends the connection; an answer, or nothing at all, is an error.
func (l *line) closed() error {
	_, err := l.r.ReadByte()
	switch {
	case err == nil:
		return errors.New("what followed was answered as another request")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("it stayed open")
	}
	return nil
}

// drain waits until the server's process has read everything that was written: no queue of the kernel holds any of it.
func (l *line) drain(t *testing.T) {
	t.Helper()
	const table = "/proc/net/tcp"
	if _, err := os.Stat(table); err != nil {
		without(t, "no %s on this machine", table)
	}
	ours, theirs := hexAddress(l.conn.LocalAddr()), hexAddress(l.conn.RemoteAddr())
	await(t, "the server has read all that was sent", func() bool {
		raw, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		empty := 0
		for row := range strings.Lines(string(raw)) {
			fields := strings.Fields(row) // number, local, remote, state, sending:receiving, ...
			outbound := fields[1] == ours && fields[2] == theirs && strings.HasPrefix(fields[4], "00000000:")
			inbound := fields[1] == theirs && fields[2] == ours && strings.HasSuffix(fields[4], ":00000000")
			if outbound || inbound {
				empty++
			}
		}
		return empty == 2
	})
}

// hexAddress is an IPv4 address as the kernel's table has it: least byte first.
func hexAddress(addr net.Addr) string {
	a := addr.(*net.TCPAddr)
	ip := a.IP.To4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], a.Port)
}
