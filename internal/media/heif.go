package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"iter"
	"slices"
)

// foreign are the kinds of picture that Go has no decoder for. Their headers are read here; see [Converter] for the rest.
var foreign = []string{"image/heic", "image/avif"}

// Foreign tells whether pictures of mediaType can be read only with a [Converter].
func Foreign(mediaType string) bool { return slices.Contains(foreign, mediaType) }

// heif is what the headers of a HEIC or AVIF file say (ISO/IEC 23008-12). Such a file holds items and a list of properties;
// one item is the picture, the others are its tiles, its transparency, a thumbnail.
type heif struct {
	primary    uint32        // the item that is the picture
	properties []image.Point // by their order: the size that it tells, or zero
	linked     [][2]uint32   // an item, and which property it has, counted from 1
	deep       bool          // more than 8 bits a channel, of whatever item
	alpha      bool          // some item is the transparency of another
	content    bool          // there is a box with the bytes of items
}

// maxProperties is how many an association can name: 15 bits (ISO/IEC 23008-12, 9.3.2).
const maxProperties = 1<<15 - 1

// inspectHEIF does for HEIC and AVIF what [Inspect] does. Their turns and mirrors (irot, imir) are applied by the decoder,
// and an orientation in EXIF data means nothing beside them (9.3.3 and 6.5.10): so what comes out is upright.
func inspectHEIF(data []byte, mediaType string) (Info, error) {
	var found heif
	if err := found.walk(&headers{content: bytes.NewReader(data), size: int64(len(data))}); err != nil {
		return Info{}, fmt.Errorf("media: inspect %s: %w", mediaType, err)
	}
	size, err := found.size()
	if err != nil {
		return Info{}, fmt.Errorf("media: inspect %s: %w", mediaType, err)
	}
	return Info{
		MediaType: mediaType, Width: size.X, Height: size.Y, Orientation: upright,
		decoder: found.bytes(size, int64(len(data))),
	}, nil
}

// walk goes through the whole file, so that one that is cut short is noticed.
func (f *heif) walk(h *headers) error {
	seen := false
	for b, err := range h.wholeBoxes(0, h.size) {
		f.content = f.content || b.kind == "mdat"
		switch {
		case err != nil:
			return err
		case b.kind != "meta":
		case seen:
			return fmt.Errorf("%w: headers twice", ErrMalformed)
		default:
			seen = true
			if err := f.readMeta(h, b); err != nil {
				return err
			}
		}
	}
	if !f.content {
		return errCutShort
	}
	return nil
}

const fullBox = 4 // version and flags, before the fields of many boxes

func (f *heif) readMeta(h *headers, meta box) error {
	for b, err := range h.wholeBoxes(meta.body+fullBox, meta.end) {
		if err != nil {
			return err
		}
		switch b.kind {
		case "pitm":
			err = f.readPrimary(h, b)
		case "iprp":
			err = f.readProperties(h, b)
		case "idat":
			f.content = true
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *heif) readPrimary(h *headers, b box) error {
	field, err := h.fields(b, fullBox+2)
	if err != nil {
		return err
	}
	if field[0] == 0 {
		f.primary = uint32(binary.BigEndian.Uint16(field[fullBox:]))
		return nil
	}
	if field, err = h.fields(b, fullBox+4); err != nil {
		return err
	}
	f.primary = binary.BigEndian.Uint32(field[fullBox:])
	return nil
}

// readProperties reads the list of properties (ipco), and who has which (ipma).
func (f *heif) readProperties(h *headers, iprp box) error {
	for b, err := range h.wholeBoxes(iprp.body, iprp.end) {
		if err != nil {
			return err
		}
		switch b.kind {
		case "ipco":
			err = f.readList(h, b)
		case "ipma":
			err = f.readLinks(h, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *heif) readList(h *headers, list box) error {
	for b, err := range h.wholeBoxes(list.body, list.end) {
		if err != nil {
			return err
		}
		if len(f.properties) == maxProperties {
			return fmt.Errorf("%w: more properties than can be named", ErrMalformed)
		}
		size, err := f.readProperty(h, b)
		if err != nil {
			return err
		}
		f.properties = append(f.properties, size)
	}
	return nil
}

// readProperty returns a size if the property is one.
func (f *heif) readProperty(h *headers, b box) (size image.Point, err error) {
	var field []byte
	switch b.kind {
	case "ispe":
		if field, err = h.fields(b, fullBox+8); err == nil {
			size = image.Pt(int(binary.BigEndian.Uint32(field[fullBox:])), int(binary.BigEndian.Uint32(field[fullBox+4:])))
		}
	case "hvcC": // ISO/IEC 14496-15, 8.3.2: the bits of luma and chroma above 8
		if field, err = h.fields(b, 19); err == nil {
			f.deep = f.deep || (field[17]|field[18])&7 != 0
		}
	case "av1C": // AV1-ISOBMFF, 2.3.3: high_bitdepth
		if field, err = h.fields(b, 3); err == nil {
			f.deep = f.deep || field[2]&0x40 != 0
		}
	case "auxC":
		f.alpha = f.alpha || isAlpha(h, b)
	}
	return size, err
}

// isAlpha tells transparency from depth and other maps, which are not decoded: by its name in AVIF and in HEIC.
func isAlpha(h *headers, b box) bool {
	for _, name := range []string{"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1"} {
		field, err := h.fields(b, fullBox+len(name))
		if err == nil && string(field[fullBox:]) == name {
			return true
		}
	}
	return false
}

// readLinks goes through the items, and the properties of each. How many there are is believed only as far as bytes are there.
func (f *heif) readLinks(h *headers, b box) error {
	field, err := h.fields(b, fullBox+4)
	if err != nil {
		return err
	}
	version, wide := field[0], field[3]&1 != 0
	count := binary.BigEndian.Uint32(field[fullBox:])
	at := b.body + fullBox + 4
	for range count {
		item, links, next, err := readItem(h, b, at, version)
		if err != nil {
			return err
		}
		for range links {
			var property uint32
			if property, next, err = readLink(h, b, next, wide); err != nil {
				return err
			}
			if len(f.linked) <= maxProperties {
				f.linked = append(f.linked, [2]uint32{item, property})
			}
		}
		at = next
	}
	return nil
}

// readItem reads an item's number and how many properties it has.
func readItem(h *headers, b box, at int64, version byte) (item uint32, links byte, next int64, err error) {
	length := int64(3)
	if version > 0 {
		length = 5
	}
	if at+length > b.end {
		return 0, 0, 0, fmt.Errorf("%w: more items than the box %q holds", ErrMalformed, b.kind)
	}
	field, err := h.read(at, int(length))
	if err != nil {
		return 0, 0, 0, err
	}
	if version > 0 {
		return binary.BigEndian.Uint32(field), field[4], at + length, nil
	}
	return uint32(binary.BigEndian.Uint16(field)), field[2], at + length, nil
}

// readLink reads which property it is; the highest bit says whether a reader must know it.
func readLink(h *headers, b box, at int64, wide bool) (property uint32, next int64, err error) {
	length := int64(1)
	if wide {
		length = 2
	}
	if at+length > b.end {
		return 0, 0, fmt.Errorf("%w: more properties than the box %q holds", ErrMalformed, b.kind)
	}
	field, err := h.read(at, int(length))
	if err != nil {
		return 0, 0, err
	}
	if wide {
		return uint32(binary.BigEndian.Uint16(field) & 0x7fff), at + length, nil
	}
	return uint32(field[0] & 0x7f), at + length, nil
}

// size is that of the picture. There must be exactly one, or a reader might go by another than we do.
func (f *heif) size() (image.Point, error) {
	var size image.Point
	for _, link := range f.linked {
		if link[0] != f.primary || link[1] < 1 || int(link[1]) > len(f.properties) {
			continue
		}
		told := f.properties[link[1]-1]
		if size != (image.Point{}) && told != (image.Point{}) && told != size {
			return image.Point{}, fmt.Errorf("%w: two sizes", ErrMalformed)
		}
		if told != (image.Point{}) {
			size = told
		}
	}
	if min(size.X, size.Y) < 1 || max(size.X, size.Y) > maxSide {
		return image.Point{}, fmt.Errorf("%w: a size of %d x %d pixels", ErrMalformed, size.X, size.Y)
	}
	return size, nil
}

// What vipsthumbnail takes, measured with libvips 8.14, libheif 1.15, libde265 1.0 and dav1d 1.0 from 1 to 48 megapixels, and
// rounded up. The test of it is TestChildKeepsToItsEstimate.
const (
	// childFixed is for what is there without a picture: 20 MiB, and the stacks of a dozen threads, 2 MiB each.
	childFixed = 64 << 20
	// childCode is the libraries' code, read from disk: 30 MiB, which all children share. A limit on memory does not count it.
	childCode = 32 << 20

	shallowPixel = 9  // bytes: the decoder's planes, and RGB; a HEIC needs 6, an AVIF 8.5
	deepPixel    = 13 // the same with 2 bytes a sample; 12 were needed
	alphaPixel   = 5  // more, if it has transparency: its plane, and a fourth channel
	fileCopies   = 3  // the file as it comes through a pipe: a buffer that grows by copying, and the decoder's part of it
)

// bytes is what a child takes that decodes the picture.
func (f *heif) bytes(size image.Point, file int64) int64 {
	each := int64(shallowPixel)
	if f.deep {
		each = deepPixel
	}
	if f.alpha {
		each += alphaPixel
	}
	return childFixed + childCode + int64(size.X)*int64(size.Y)*each + fileCopies*file
}

// wholeBoxes is [headers.boxes] without its patience: in a picture, which is here as a whole, nothing is cut short.
func (h *headers) wholeBoxes(from, to int64) iter.Seq2[box, error] {
	return func(yield func(box, error) bool) {
		for at := from; to-at >= boxHeader; {
			b, err := h.box(at, to)
			if err == nil && b.cut {
				err = errCutShort
			}
			if !yield(b, err) || err != nil {
				return
			}
			at = b.end
		}
	}
}
