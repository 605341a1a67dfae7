package media

// MaxSide is the longest side, in pixels, for which [Info.DecodeBytes] is bounded by the number of pixels: decoders keep a
// few rows besides the picture, and a row of millions of pixels is no picture. It is the longest that a JPEG or a GIF can
// have; a WebP has 16,384 at most.
const MaxSide = 1<<16 - 1

// decoderFixed is what a decoder needs besides what grows with the picture, in bytes: the window and tables of inflate are
// the largest with 45 KB, then buffers and code tables; and the curves of a colour profile.
const decoderFixed = 64 << 10

// DecodeBytes is how much memory, in bytes, [Squares] takes at its peak for this picture and these edges, the file itself
// not counted. It counts everything that is allocated on the way as though nothing were freed, so it errs upwards: by less
// than half for ordinary pictures. Two things are charged for the worst that a hostile file can make of them, since no header
// tells: the code tables of a lossless WebP, see losslessBytes, and what is encoded, see encodeBytes.
func (i Info) DecodeBytes(edges []int) int64 {
	total := i.decoder + decoderFixed
	if Foreign(i.MediaType) && len(edges) > 0 {
		total += readConverted(int64(edges[0]))
	}
	side := int64(min(i.Width, i.Height))
	for n, edge := range edges {
		total += scaleBytes(side, int64(edge)) + encodeBytes(int64(edge))
		if n == 0 && i.Orientation != upright {
			total += 4 * int64(edge) * int64(edge) // turned into a second picture
		}
		side = int64(edge)
	}
	return total
}

// ChildBytes is the part of [Info.DecodeBytes] that a [Converter]'s child takes, and this process does not; 0 for what needs none.
func (i Info) ChildBytes() int64 {
	if !Foreign(i.MediaType) {
		return 0
	}
	return i.decoder
}

// scaleBytes is what it takes to scale a square from one side to another.
func scaleBytes(from, to int64) int64 {
	const (
		taps       = 2*support + 1                      // weights for each pixel, rounded up
		lineBytes  = 2*channels + 4                     // a pixel in its row: as light, and as RGBA where the library converts it
		blockBytes = (4 + 2) * channels                 // its share of the sums of blocks, and of a row of them
		spanBytes  = taps*weightBytes + taps*channels*4 // its weights, its share of the ring
		edgeBytes  = 64 + 2*channels*4                  // a span, and two rows in waiting more
		fixed      = 16 << 10                           // what lies around the rows, and what the allocator rounds up
	)
	// By the kernel: what is larger is shrunk first, and it is no narrower when it scales up.
	under := max(min(from, 4*to), from/maxShrink, to)
	return from*lineBytes + under*(blockBytes+spanBytes) + to*edgeBytes + 4*to*to + fixed
}

// encodeBytes is what it takes to encode a square in every format. The WebP encoder keeps what it has found out about each
// block of 16 x 16, and the symbols of the whole picture until it has counted them: 6 bytes a pixel of what is plain, 34 of
// the worst that was found, noise in black and white. What it writes, and JPEG's, grows by doubling.
func encodeBytes(edge int64) int64 {
	const (
		jpegBytes = 3         // a pixel
		webpBytes = 38        // a pixel of whole blocks
		fixed     = 144 << 10 // tables and buffers
	)
	blocks := (edge + 15) / 16 * 16
	return jpegBytes*edge*edge + webpBytes*blocks*blocks + fixed
}
