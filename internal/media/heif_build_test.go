package media

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// heifFile is what a HEIC or AVIF file is built of: a coded picture, alone or as every tile of a grid.
type heifFile struct {
	brand, codec  string // "heic" and "hvc1", "avif" and "av01"
	setup         []byte // the decoder's configuration: the whole box hvcC or av1C
	colour        []byte // the whole box colr
	coded         []byte
	width, height uint32 // as the header says, of the coded picture

	rows, columns int    // of a grid; none if 0
	wide, high    uint32 // of the grid
	more          [][]byte
	exif          []byte // TIFF
}

func packed(fields ...any) []byte {
	var b bytes.Buffer
	for _, field := range fields {
		if text, ok := field.(string); ok {
			field = []byte(text)
		}
		if err := binary.Write(&b, binary.BigEndian, field); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func sealed(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return packed(uint32(8+len(body)), kind, body)
}

// unpack takes apart what heif-enc has made: one picture, its configuration the first property.
func unpack(t testing.TB, data []byte) heifFile {
	t.Helper()
	f := heifFile{brand: "heic", codec: "hvc1"}
	at := bytes.Index(data, []byte("hvcC"))
	if at < 0 {
		f.brand, f.codec, at = "avif", "av01", bytes.Index(data, []byte("av1C"))
	}
	size, content := bytes.Index(data, []byte("ispe")), bytes.Index(data, []byte("mdat"))
	if at < 0 || size < 0 || content < 0 {
		t.Fatal("not what heif-enc makes")
	}
	f.setup = data[at-4:][:binary.BigEndian.Uint32(data[at-4:])]
	f.width, f.height = binary.BigEndian.Uint32(data[size+8:]), binary.BigEndian.Uint32(data[size+12:])
	f.coded, f.colour = data[content+4:], sealed("free")
	if colour := bytes.Index(data, []byte("colr")); colour > 0 {
		f.colour = data[colour-4:][:binary.BigEndian.Uint32(data[colour-4:])]
	}
	return f
}

// bytes puts it together: item 1 is the picture or the grid, 2 EXIF data, 3 and on are tiles that share their bytes.
func (f heifFile) bytes() []byte {
	size := sealed("ispe", packed(uint32(0), f.width, f.height))
	properties := append([][]byte{f.setup, size, f.colour}, f.more...)
	primary := []byte{1, 2, 3}
	grid := sealed("free")
	if f.rows > 0 {
		primary = []byte{byte(len(properties) + 1)}
		properties = append(properties, sealed("ispe", packed(uint32(0), f.wide, f.high)))
		grid = packed([]byte{0, 1, byte(f.rows - 1), byte(f.columns - 1)}, f.wide, f.high)
	}
	for i := range f.more {
		primary = append(primary, byte(4+i))
	}

	type item struct {
		id      uint16
		kind    string
		content []byte
		has     []byte
	}
	exif := append(make([]byte, 4), f.exif...)
	items := []item{{1, f.codec, f.coded, primary}, {2, "Exif", exif, nil}}
	references := sealed("cdsc", packed(uint16(2), uint16(1), uint16(1)))
	if f.rows > 0 {
		items[0].kind, items[0].content = "grid", grid
		var tiles []uint16
		for i := range f.rows * f.columns {
			id := uint16(3 + i)
			tiles = append(tiles, id)
			items = append(items, item{id, f.codec, f.coded, []byte{1, 2, 3}})
		}
		references = append(references, sealed("dimg", packed(uint16(1), uint16(len(tiles)), tiles))...)
	}

	head := func(at map[string]uint32) []byte {
		iloc := packed(uint32(0), []byte{0x44, 0}, uint16(len(items)))
		iinf := packed(uint32(0), uint16(len(items)))
		ipma := packed(uint32(0), uint32(len(items)))
		for _, it := range items {
			iloc = append(iloc, packed(it.id, uint16(0), uint16(1), at[it.kind], uint32(len(it.content)))...)
			iinf = append(iinf, sealed("infe", packed(uint32(2)<<24, it.id, uint16(0), it.kind, byte(0)))...)
			ipma = append(ipma, packed(it.id, byte(len(it.has)), it.has)...)
		}
		return append(sealed("ftyp", []byte(f.brand+"\x00\x00\x00\x00mif1miaf"+f.brand)), sealed("meta", packed(uint32(0)),
			sealed("hdlr", packed(uint32(0), uint32(0), "pict", make([]byte, 13))),
			sealed("pitm", packed(uint32(0), uint16(1))),
			sealed("iloc", iloc), sealed("iinf", iinf), sealed("iref", packed(uint32(0)), references),
			sealed("iprp", sealed("ipco", properties...), sealed("ipma", ipma)))...)
	}
	start := uint32(len(head(nil)) + 8)
	at := map[string]uint32{f.codec: start, "grid": start + uint32(len(f.coded)), "Exif": start + uint32(len(f.coded)+len(grid))}
	return append(head(at), sealed("mdat", f.coded, grid, exif)...)
}
