package media

import (
	"bytes"
	"image"
	"strings"
	"testing"

	"sluice/internal/media/mediatest"
)

// ftyp is the first box of an ISO base media file, and the beginning of the next.
func ftyp(brands ...string) []byte {
	box := append(make([]byte, 4), "ftyp"+brands[0]+"\x00\x00\x02\x00"+strings.Join(brands[1:], "")...)
	box[3] = byte(len(box))
	return append(box, "\x00\x00\x00\x08free\x00\x00\x10\x00mdat"...)
}

func ebml(doctype string) []byte {
	head := append([]byte("\x1a\x45\xdf\xa3\x93\x42\x86\x81\x01\x42\x82"), 0x80|byte(len(doctype)))
	return append(head, doctype+"\x42\x87\x81\x04"...)
}

// ogg is a stream's first page with what tells its codec.
func ogg(codec string) []byte {
	page := append([]byte("OggS\x00\x02"), make([]byte, 20)...)
	return append(page, "\x01\x2a"+codec+strings.Repeat("\x00", 30)...)
}

// packets are those of a transport stream.
func packets(lead string, n int) []byte {
	return bytes.Repeat([]byte(lead+"\x47\x40\x11\x10"+strings.Repeat("\xff", 184)), n)
}

func TestSniff(t *testing.T) {
	r := image.Rect(0, 0, 9, 9)
	for name, c := range map[string]struct{ data, want string }{
		"nothing":   {"", "application/octet-stream"},
		"random":    {"\x8f\x13\x00\x07\x91\xaa\x00\x00\x01", "application/octet-stream"},
		"text":      {"Sluices let\tthe stream\r\nthrough: größer", "text/plain"},
		"jpeg":      {string(jpegOf(t, image.NewGray(r))), "image/jpeg"},
		"png":       {string(pngOf(t, image.NewGray(r))), "image/png"},
		"apng":      {string(pngWith(pngOf(t, image.NewGray(r)), mediatest.Chunk("acTL", make([]byte, 8)), false)), "image/png"},
		"gif":       {"GIF89a\x09\x00\x09\x00\x00\x00\x00;", "image/gif"},
		"webp":      {string(file(t, "lossy.webp")), "image/webp"},
		"heic":      {string(ftyp("heic", "mif1", "heic")), "image/heic"},
		"heic 2":    {string(ftyp("mif1", "miaf", "heic")), "image/heic"},
		"avif":      {string(ftyp("avif", "mif1")), "image/avif"},
		"avif 2":    {string(ftyp("mif1", "avif")), "image/avif"},
		"heif":      {string(ftyp("mif1", "miaf")), "image/heif"},
		"mp4":       {string(ftyp("isom", "isom", "iso2", "avc1")), "video/mp4"},
		"mp4 2":     {string(ftyp("mp42")), "video/mp4"},
		"mp4 dash":  {string(ftyp("iso5", "dash")), "video/mp4"},
		"mp4 Sony":  {string(ftyp("MSNV", "mp42")), "video/mp4"},
		"m4v":       {string(ftyp("M4V ", "mp42")), "video/x-m4v"},
		"m4a":       {string(ftyp("M4A ", "mp42", "isom")), "audio/x-m4a"},
		"m4b":       {string(ftyp("M4B ")), "audio/mp4"},
		"mov":       {string(ftyp("qt  ", "qt  ")), "video/quicktime"},
		"mov old":   {"\x00\x00\x10\x00moov\x00\x00\x00\x6cmvhd", "video/quicktime"},
		"3gp":       {string(ftyp("3gp4", "isom")), "video/3gpp"},
		"3g2":       {string(ftyp("3g2a")), "video/3gpp2"},
		"webm":      {string(ebml("webm")), "video/webm"},
		"mkv":       {string(ebml("matroska")), "video/x-matroska"},
		"avi":       {"RIFF\x00\x10\x00\x00AVI LIST\x00\x00\x00\x00hdrl", "video/x-msvideo"},
		"wav":       {"RIFF\x00\x10\x00\x00WAVEfmt \x10\x00\x00\x00", "audio/wav"},
		"mpeg-ts":   {string(packets("", 10)), "video/mp2t"},
		"m2ts":      {string(packets("\x00\x01\x02\x03", 10)), "video/mp2t"},
		"mpeg-ps":   {"\x00\x00\x01\xba\x44\x00\x04\x00", "video/mpeg"},
		"ogv":       {string(ogg("\x80theora\x03\x02\x01")), "video/ogg"},
		"ogv 2":     {string(append(ogg("\x01vorbis"), ogg("\x80theora\x03\x02\x01")...)), "video/ogg"},
		"oga":       {string(ogg("\x01vorbis\x00\x00\x00\x00\x02")), "audio/ogg"},
		"opus":      {string(ogg("OpusHead\x01\x02")), "audio/ogg"},
		"mp3":       {"ID3\x04\x00\x00\x00\x00\x00\x15TIT2", "audio/mpeg"},
		"mp3 bare":  {"\xff\xfb\x90\x44\x00\x00\x00\x00", "audio/mpeg"},
		"flac":      {"fLaC\x00\x00\x00\x22\x10\x00", "audio/flac"},
		"pdf":       {"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"},
		"zip":       {"PK\x03\x04\x14\x00\x00\x00\x08\x00" + strings.Repeat("\x00", 20) + "a.txt", "application/zip"},
		"gzip":      {"\x1f\x8b\x08\x00\x00\x00\x00\x00", "application/gzip"},
		"json":      {`{"a": [1, 2]}`, "application/json"},
		"name only": {"clip.mp4 video/mp4 ftyp", "text/plain"},
	} {
		if got := Sniff([]byte(c.data)); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// What a browser would run must never pass for something harmless.
func TestSniffSeesMarkupBehindAnything(t *testing.T) {
	const (
		html = "text/html"
		svg  = "image/svg+xml"
		bom  = "\xef\xbb\xbf"
	)
	for data, want := range map[string]string{
		"<!DOCTYPE html><title>x":                   html,
		bom + "\r\n\t <!doctype HTML>":              html,
		"<html lang=en>":                            html,
		"\n\n<ScRiPt>alert(1)</script>":             html,
		"<script/src=//x>":                          html,
		"<img src=x onerror=alert(1)>":              html,
		"<!--x--><html>":                            html,
		"<!-- a --> <!--b--><body onload=x>":        html,
		"<!--x--><div>":                             html,
		"<!--" + strings.Repeat("-", 5000):          html,
		"<iframe\nsrc=x>":                           html,
		"<h1>x</h1>":                                html,
		`<svg xmlns="http://www.w3.org/2000/svg"/>`: svg,
		"<SVG>":                 svg,
		"<svg/onload=alert(1)>": svg,
		bom + " \n<svg xmlns='http://www.w3.org/2000/svg'>": svg,
		"<!-- c --><svg>":            svg,
		`<?xml version="1.0"?><svg>`: svg,
		bom + "<?xml version='1.0'?>\n<!--c-->\n<svg width='1'>":               svg,
		`<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y"><svg>`:              svg,
		`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">] ><?p q?><s:svg>`:   svg,
		`<!DOCTYPE svg [<!ENTITY a "b">]><svg>`:                                svg,
		`<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">`:     "application/xhtml+xml",
		`<?xml version="1.0"?><x:html xmlns:x="http://www.w3.org/1999/xhtml">`: "application/xhtml+xml",
		`<?xml version="1.0"?><!DOCTYPE html><html>`:                           "application/xhtml+xml",
		`<?xml version="1.0"?><note/>`:                                         "text/xml",
		"a < b, and <script> in the middle of a text":                          "text/plain",
		"< 3 < 4":                           "text/plain",
		"GIF89a<script>alert(1)</script>/*": "image/gif",
	} {
		if got := Sniff([]byte(data)); got != want {
			t.Errorf("%.70q: got %s, want %s", data, got, want)
		}
	}
}

func TestSniffLooksAtTheHeadOnly(t *testing.T) {
	head := bytes.Repeat([]byte("word "), sniffBytes/5+1)[:sniffBytes]
	if got := Sniff(append(bytes.Clone(head), 0, 1, 2)); got != "text/plain" {
		t.Errorf("binary bytes behind the head: got %s", got)
	}
	if got := Sniff(append(bytes.Repeat([]byte(" "), sniffBytes), "<html>"...)); got != "text/plain" {
		t.Errorf("markup behind the head: got %s", got)
	}
	head[sniffBytes-1] = 0 // the library looks at as many
	if got := Sniff(head); got != "application/octet-stream" {
		t.Errorf("binary byte at the end of the head: got %s", got)
	}
	cut := append(bytes.Repeat([]byte("x"), sniffBytes-1), "ü"...) // in the middle of a letter
	if got := Sniff(cut[:sniffBytes]); got != "text/plain" {
		t.Errorf("cut letter: got %s", got)
	}
}
