package power

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPowerCutWithinABlock has bytes added to a block of the disk that was written when it was not full. No block is new
// then, so ext4 orders nothing: the length of the file grows at once, it is on the disk as soon as anybody syncs anything,
// and the bytes are not. Nor is there a hole, for the block has been written before.
func TestPowerCutWithinABlock(t *testing.T) {
	host := newHost(t)
	for _, kind := range []string{"ext4", "xfs"} {
		for _, durability := range []string{"always", "none"} {
			t.Run(kind+"/"+durability+"/by the next chunk", func(t *testing.T) {
				b := newBlock(t, newDisk(t, kind, host), durability)
				b.addFirst()
				b.cutAfter(b.begin(b.offset))
			})
			t.Run(kind+"/"+durability+"/by the same chunk", func(t *testing.T) {
				b := newBlock(t, newDisk(t, kind, host), durability)
				chunk := b.begin(0)
				b.write(chunk, 0, first)
				b.written(first, time.Second) // or the server waits for more, which is as good
				b.cutAfter(chunk)
			})
		}
	}
}

const (
	first = 5000    // bytes of the upload that are flushed, ending within a block
	more  = 1 << 19 // that follow
)

// block is an upload of which the first bytes have arrived.
type block struct {
	promise
	t          *testing.T
	disk       disk
	server     *server
	durability string
}

func newBlock(t *testing.T, d disk, durability string) *block {
	b := &block{t: t, disk: d, server: start(t, d.data(), durability), durability: durability}
	b.promise = promise{name: "the one", profile: files, file: content{size: 1 << 20, seed: 1}}
	a, err := b.server.ask(t.Context(), "POST", files.path, protocol, "Upload-Metadata: "+b.metadata(), fmt.Sprint("Upload-Length: ", b.file.size))
	if err != nil || a.status != http.StatusCreated {
		t.Fatalf("POST: got %s, %v", a, err)
	}
	b.id = path.Base(a.header.Get("Location"))
	return b
}

// addFirst sends the first bytes as a chunk of their own.
func (b *block) addFirst() {
	b.t.Helper()
	a, err := b.server.send(b.t.Context(), "PATCH", b.url(), b.file.part(0, first), first, protocol, chunkType, "Upload-Offset: 0")
	if err != nil || a.status != http.StatusNoContent {
		b.t.Fatalf("PATCH: got %s, %v", a, err)
	}
	b.offset = first
}

// begin sends the head of a PATCH that promises all the rest.
func (b *block) begin(from int64) net.Conn {
	b.t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(b.server.base, "http://"), patience)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: sluice\r\n%s\r\n%s\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n\r\n",
		b.url(), protocol, chunkType, from, b.file.size-from)
	if err != nil {
		b.t.Fatal(err)
	}
	return conn
}

func (b *block) write(chunk net.Conn, from, to int64) {
	b.t.Helper()
	if _, err := io.Copy(chunk, b.file.part(from, to)); err != nil {
		b.t.Fatal(err)
	}
}

// written tells whether the server writes so much of the file within that time.
func (b *block) written(n int64, within time.Duration) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(time.Millisecond) { // between two looks
		if info, err := os.Stat(b.disk.path(b.promise)); err == nil && info.Size() >= n {
			return true
		}
	}
	return false
}

// cutAfter flushes what is there, adds to it, has another program sync its own file, cuts the power and looks what has come
// of it.
func (b *block) cutAfter(chunk net.Conn) {
	b.t.Helper()
	b.disk.flush(b.t)
	b.write(chunk, first, more)
	if !b.written(first+1, patience) {
		b.t.Fatal("the server does not write")
	}
	n := neighbour{dir: b.disk.dir, random: rand.New(rand.NewPCG(1, 1))}
	if err := n.sync(filepath.Join(n.dir, "neighbour")); err != nil {
		b.t.Fatal(err)
	}
	known := map[string]promise{b.name: b.promise}
	w := wakeUp(b.t, b.disk.cut(b.t), b.durability, known, known)
	w.checkAll()
	b.t.Log(w.seen)
}
