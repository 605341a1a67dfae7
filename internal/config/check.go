package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"sluice/internal/upload"
)

// What no value shows alone: whether they go together.

// What the largest pictures need while they are made into variants, in bytes, as media.Info.DecodeBytes counts it: a test in
// cmd/server holds one against the other. Two kinds are the largest, and the rest lies below one of them.
const (
	// A progressive JPEG of four inks keeps a sample and a coefficient of each, and becomes a picture of 4 bytes a pixel.
	// It has whole blocks of 16 x 16: one more is for what that adds to the longest and thinnest, where WebP is not larger yet.
	jpegPixelBytes = 4*(1+4) + 4 + 1
	// A lossless WebP has tables, as many as a hostile one asks for. Half as many more pixels are those of its transparency.
	webpPixelBytes = 10
	webpFixedBytes = 160 << 20

	variantPixelBytes = 50        // scaled, turned, and encoded in each format
	variantFixedBytes = 256 << 10 // of encoders
	scaleFixedBytes   = 2 << 20   // rows of the longest picture
)

// What HEIC and AVIF need that a child decodes: as much for each pixel where it has 10 bits and transparency, four times the file, a fixed
// part, and what its result takes, of 1,024 pixels square at least. A test in cmd/server holds it against what is charged.
const (
	foreignPixelBytes  = 18
	foreignFile        = 4
	foreignFixedBytes  = 96 << 20
	foreignSquareBytes = 24
	foreignEdge        = 1024
)

// WholeJobBytes bounds the memory that one upload of a profile in the whole lane needs while it is processed: the file, the
// picture in it, and the variants; and that of a child, if foreign pictures (HEIC, AVIF) are read and the profile takes them. It
// is rough, and upward. Only the edges of a profile without faults are bounded enough.
func WholeJobBytes(p upload.Profile, foreign bool) int64 {
	if p.MaxPixels > math.MaxInt64/(2*jpegPixelBytes) || p.MaxBytes > math.MaxInt64/8 {
		return math.MaxInt64
	}
	picture := p.MaxBytes + max(p.MaxPixels*jpegPixelBytes, p.MaxPixels*webpPixelBytes+webpFixedBytes+p.MaxBytes)
	if foreign && (p.Accepts("image/heic") || p.Accepts("image/avif")) {
		picture = max(picture, foreignBytes(p))
	}
	total := picture + scaleFixedBytes
	for _, edge := range p.Variants {
		blocks := int64(edge+15) / 16 * 16
		total += blocks*blocks*variantPixelBytes + variantFixedBytes
	}
	return total
}

// foreignBytes bounds what the largest picture needs that a child reads, with its file.
func foreignBytes(p upload.Profile) int64 {
	edge := int64(foreignEdge)
	for _, e := range p.Variants {
		edge = max(edge, int64(e))
	}
	return p.MaxBytes*foreignFile + p.MaxPixels*foreignPixelBytes + foreignFixedBytes + foreignSquareBytes*edge*edge
}

// check looks at c and the table of profiles as a whole, and puts the table into c.
func (v *values) check(c *Config, table []row) {
	if sameListener(c.Listen, c.PrivateListen) {
		v.fault("private-listen", "%s and %s (--listen) cannot both be listened on", c.PrivateListen, c.Listen)
	}
	if c.TLSCert != "" && c.TLSKey == "" {
		v.fault("tls-cert", "needs --tls-key beside it")
	}
	if c.TLSKey != "" && c.TLSCert == "" {
		v.fault("tls-key", "needs --tls-cert beside it")
	}
	if len(c.CORSOrigins) == 0 {
		v.fault("cors-origin", "needs an origin, or * for any")
	}
	if len(c.CORSOrigins) > 1 && slices.Contains(c.CORSOrigins, "*") {
		v.fault("cors-origin", "* is any origin: name no other beside it")
	}
	if len(table) == 0 {
		v.faults.add(fmt.Errorf("%s: every profile is disabled", v.src.file.name))
	}

	data := absolute(c.Data)
	for i := range table {
		r := &table[i]
		r.Dir = profileDir(data, r.Profile)
		v.checkRow(*r, c, data)
		for _, other := range table[:i] {
			v.checkPaths(other, *r)
			if !within(data, other.Dir) && !within(data, r.Dir) { // else that fault says enough
				v.checkDirs(other, *r)
			}
		}
		c.Profiles = append(c.Profiles, r.Profile)
	}
}

// checkAsked refuses an address at which health can find nobody.
func (v *values) checkAsked(addr string) {
	if _, port, err := net.SplitHostPort(addr); err == nil && strings.Trim(port, "0") == "" {
		v.fault("private-listen", "%s: health needs the port that the server was given, not 0", addr)
	}
}

func (v *values) checkRow(r row, c *Config, data string) {
	wrong := r.Check()
	for _, err := range wrong {
		v.faults.add(fmt.Errorf("%s%w", r.place, err))
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/"); first == "events" || first == "vendor" {
		v.faults.add(r.fault("path %q is taken: the server has its own /%s", r.Path, first))
	}
	if within(data, r.Dir) {
		v.faults.add(r.fault("dir %s must not be or hold the data directory, where the server keeps files of its own", r.Dir))
	}
	if r.Lane != upload.Whole || len(wrong) > 0 || c.ImageMemory == 0 {
		return
	}
	if need := WholeJobBytes(r.Profile, c.Vipsthumbnail != ""); need > c.ImageMemory {
		v.fault("image-memory", "is too small for profile %q, of which one picture may need %s (it goes by maxBytes, maxPixels and variants)",
			r.Name, inMiB(need))
	}
}

// checkPaths refuses two rows of which one would answer for the other.
func (v *values) checkPaths(a, b row) {
	switch {
	case len(a.Path) < 2 || len(b.Path) < 2: // none, or "/", which no row may have: named already
	case a.Path == b.Path:
		v.faults.add(b.fault("path %q is also that of profile %q", b.Path, a.Name))
	case strings.HasPrefix(a.Path, b.Path) || strings.HasPrefix(b.Path, a.Path):
		v.faults.add(b.fault("path %q and %q of profile %q: one lies inside the other", b.Path, a.Path, a.Name))
	}
}

// checkDirs refuses one directory for two rows, and one inside another: the outer row takes what it finds in its own for
// uploads.
func (v *values) checkDirs(a, b row) {
	switch {
	case a.Dir == b.Dir:
		v.faults.add(b.fault("dir %s is also that of profile %q", b.Dir, a.Name))
	case within(a.Dir, b.Dir) || within(b.Dir, a.Dir):
		v.faults.add(b.fault("dir %s and %s of profile %q: one lies inside the other", b.Dir, a.Dir, a.Name))
	}
}

// profileDir is where the files of p live: below data, unless its own directory is absolute.
func profileDir(data string, p upload.Profile) string {
	switch {
	case p.Dir == "":
		return filepath.Join(data, p.Name)
	case filepath.IsAbs(p.Dir):
		return filepath.Clean(p.Dir)
	}
	return filepath.Join(data, p.Dir)
}

// absolute makes dir absolute, or leaves it where the working directory is not known; then it is relative for every user.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return filepath.Clean(dir)
}

// within tells whether dir is outer or lies inside it. Both are clean; links are not followed.
func within(dir, outer string) bool {
	rel, err := filepath.Rel(outer, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// sameListener tells whether two listeners would get in each other's way: the same port, not 0, and the same host, or every
// host on one side.
func sameListener(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil { // named already
		return false
	}
	portA, portB = strings.TrimLeft(portA, "0"), strings.TrimLeft(portB, "0")
	return portA == portB && portA != "" && (hostA == hostB || everyHost(hostA) || everyHost(hostB))
}

func everyHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// inMiB writes a size for people, rounded up, so that to give it is enough.
func inMiB(n int64) string {
	mib := n >> 20
	if n&(1<<20-1) != 0 {
		mib++
	}
	return fmt.Sprintf("%dMiB", mib)
}
