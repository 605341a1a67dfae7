package media

// decoderFixed is what a decoder needs besides what grows with the picture, in bytes: the window and tables of inflate are
// the largest with 45 KB, then buffers and code tables.
const decoderFixed = 64 << 10

// DecodeBytes is how much memory, in bytes, [Squares] takes at its peak for this picture and these edges, the file itself
// not counted. It counts everything that is allocated on the way as though nothing were freed, so it errs upwards: by less
// than half for ordinary pictures. A lossless WebP is charged for the code tables that a hostile one could ask for, see
// losslessBytes.
func (i Info) DecodeBytes(edges []int) int64 {
	total := i.decoder + decoderFixed
	if Foreign(i.MediaType) && len(edges) > 0 {
		total += readConverted(int64(edges[0]))
	}
	side := int64(min(i.Width, i.Height))
	for n, edge := range edges {
		total += squareBytes(side, int64(edge))
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

// squareBytes is what it takes to scale a square from one side to another and to encode it.
func squareBytes(from, to int64) int64 {
	const (
		taps       = 2*support + 1                          // weights for each source pixel, rounded up
		fromBytes  = 4 + taps*weightBytes + taps*channels*4 // it in its row, its weights, its share of the ring
		edgeBytes  = 64 + channels*4                        // a span, and one row in waiting more
		pixelBytes = 4 + 3                                  // of the result, and of the encoder's output as it grows
		fixed      = 16 << 10                               // the encoder's tables and buffer
	)
	from = max(from, to) // the kernel is no narrower when it scales up
	return from*fromBytes + to*edgeBytes + to*to*pixelBytes + fixed
}
