package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"
)

// Converter makes pictures that Go can decode of those that it cannot: HEIC and AVIF. It runs libvips' vipsthumbnail, once
// for each picture, as a child that can do little but compute, since decoders of film have a history of faults that become
// somebody else's program:
//
//   - it has its input and output as pipes, no other file of ours, and nothing in its environment;
//   - it has as much memory as [Info.DecodeBytes] says, 15 s of processor time and 60 s in all, one processor, and may write
//     no file;
//   - it has no new privileges, no network, and may read the system's libraries only, as far as the kernel lets us forbid
//     the rest (namespaces, Landlock): the log says where it does not;
//   - it dies with us.
//
// What it gives back is trusted no more than an upload. All methods may be called concurrently.
type Converter struct {
	program string
	log     *slog.Logger
	turns   chan struct{} // a token for each child: more than there are processors would only make each slower
	within  time.Duration // childWithin; tests are in a hurry
	started func(pid int) // called with each child before it is given its input; tests look at it

	processor atomic.Uint32 // the last one that a child was bound to
	shared    atomic.Bool   // the kernel lets us make no namespaces
	told      atomic.Bool   // the log has what the kernel does not let us do
}

// errPlatform: the child's limits are those of Linux.
var errPlatform = errors.New("media: HEIC and AVIF are read on Linux only")

// NewConverter uses the vipsthumbnail at an absolute path. It fails where there are not the means to keep it in bounds.
func NewConverter(program string, log *slog.Logger) (*Converter, error) {
	if !canConfine {
		return nil, errPlatform
	}
	if !filepath.IsAbs(program) {
		return nil, fmt.Errorf("media: converter %q is not an absolute path", program)
	}
	return &Converter{program: program, log: log, turns: make(chan struct{}, runtime.NumCPU()), within: childWithin, started: func(int) {}}, nil
}

const (
	// childWithin bounds a child by the clock: one that neither computes nor ends. A picture of 50 megapixels takes 3 s, and took
	// 20 s on a machine with four times as much to do as processors; what waits longer has not been kept waiting by others.
	childWithin = 60 * time.Second
	// childComputes bounds the processor time of a child. One that reaches it met a hostile file: five times what is needed.
	childComputes = 15 * time.Second
)

// linearEdge is what a child leaves of a larger picture at least, in pixels: libvips' own way to scale in linear light clips colours,
// so the steps in which it can be seen are left to [Squares].
const linearEdge = 1024

// Convert makes a PNG of the picture that data holds: upright, in sRGB, the middle of it in a square of at least edge pixels, or
// what there is if it is smaller. info is what [Inspect] says of data. Of the result it returns the
// bytes and what Inspect says of those.
//
// It returns [ErrMalformed], wrapped, if the child cannot read the picture or dies of its limits; the context's error when
// that ends; and another error if there is no child, or the machine has no memory for it: that may be better another time.
func (c *Converter) Convert(ctx context.Context, data []byte, info Info, edge int) ([]byte, Info, error) {
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return nil, Info{}, ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	edge = max(edge, linearEdge)
	png, err := c.run(limited, child{input: data, memory: info.decoder - childCode, edge: edge})
	switch {
	case ctx.Err() != nil:
		return nil, Info{}, ctx.Err()
	case limited.Err() != nil:
		return nil, Info{}, fmt.Errorf("media: convert %s: %w: no result within %s", info.MediaType, ErrMalformed, c.within)
	case err != nil:
		return nil, Info{}, fmt.Errorf("media: convert %s: %w", info.MediaType, err)
	}
	made, err := checkMade(png, edge)
	return png, made, err
}

// checkMade sees that the child has made what it was told to.
func checkMade(png []byte, edge int) (Info, error) {
	made, err := Inspect(png)
	switch {
	case err != nil:
		return Info{}, fmt.Errorf("%w: the converter's result: %w", ErrMalformed, err)
	case made.MediaType != "image/png" || made.Width > edge || made.Height > edge || made.Orientation != upright:
		return Info{}, fmt.Errorf("media: %w: converted to %s of %d x %d pixels", ErrMalformed, made.MediaType, made.Width, made.Height)
	}
	return made, nil
}

// convertedBytes bounds the PNG of a square: four channels that do not compress, and headers.
func convertedBytes(edge int64) int64 { return edge*(4*edge+1) + 64<<10 }

// readConverted is what it takes to read the PNG that is made for an edge: itself, as it grows, and a decoder's picture and rows.
func readConverted(edge int64) int64 {
	edge = max(edge, linearEdge)
	return 2*convertedBytes(edge) + 4*edge*edge + 32*edge + decoderFixed
}

// child is one run of vipsthumbnail.
type child struct {
	input  []byte
	memory int64 // bytes
	edge   int   // pixels
}

// arguments: shrink only, cut out the middle, take for sRGB what has no profile, put out sRGB without metadata, quickly compressed. Its own
// generated code is not faster here, and a process that makes none can be forbidden to.
func (c child) arguments() []string {
	return []string{
		"stdin", "--size", fmt.Sprintf("%dx%d>", c.edge, c.edge), "--smartcrop", "centre", "--import-profile", "srgb", "--export-profile", "srgb",
		"--vips-novector", "--output", ".png[strip,compression=1]",
	}
}

// environment is all that the child knows of us. Loaders that libvips itself calls unfit for strangers' files are off. Memory that is
// let go goes back at once, from one heap: half a picture less at the peak.
func (child) environment() []string {
	return []string{
		"VIPS_BLOCK_UNTRUSTED=1", "VIPS_CONCURRENCY=1", "MALLOC_ARENA_MAX=1", "MALLOC_MMAP_THRESHOLD_=262144", "MALLOC_TRIM_THRESHOLD_=262144",
		"LC_ALL=C", "PATH=/nonexistent",
	}
}
