package upload

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Lane is how the bytes of an upload are treated: the contrast that Sluice exists for.
type Lane string

const (
	// Whole: a small file, read into memory when complete, under a gate that counts bytes.
	Whole Lane = "whole"
	// Stream: a file of any size, never held: judged by its first bytes, then only passed on to disk.
	Stream Lane = "stream"
)

// HeadBytes is how much of an upload in the stream lane is looked at to tell its type: it is judged as soon as
// min(length, HeadBytes) bytes are stored. 4,096 covers the boxes and headers that tell one container from another.
const HeadBytes = 4096

// Readers are those who may read the content of a ready upload.
type Readers string

const (
	// OnlyOwner: whoever it belongs to.
	OnlyOwner Readers = "owner"
	// Anybody who knows its address.
	Anybody Readers = "anybody"
)

// Profile is a row of the table that says how a kind of upload is treated. Code asks its columns, never its name.
type Profile struct {
	Name      string
	Path      string        // URL path, begins and ends with a slash
	Lane      Lane          // whole or stream
	MaxBytes  int64         // of one upload; 0 is no limit (stream only)
	MaxPixels int64         // of a picture, from its header (whole only)
	Accept    []string      // media types by content, "video/*" is any video; empty takes anything
	Lifetime  time.Duration // of an unfinished upload after its last byte; 0 is for ever
	Retention time.Duration // of a finished upload; 0 is for ever
	Dir       string        // where its files live; "" is <data>/<name>
	KeepParts bool          // uploads that were joined stay for their lifetime; else they go when the final is assembled
	// RejectUnreadable rejects a video whose headers show that nothing can play it (stream only); else it is ready without them.
	RejectUnreadable bool
	// KeepRejected keeps the bytes of an upload that was rejected when it was complete, for an operator to look at, as long as
	// its record; else they are removed at once. They are served to nobody.
	KeepRejected bool
	Digest       string  // algorithm of the digest that a ready upload has: [SHA256], or "" for none
	Read         Readers // who may read the content, where there are owners; "" is the owner
	PerOwner     int     // ready uploads that are kept of one owner, the newest; 0 is all
	Flat         bool    // all files in one directory, as tusd lays them out; else fanned out by id
	Variants     []int   // edges in pixels of the square pictures to make, largest first (whole only)
}

// DefaultProfiles is the built-in table: a drop-in for a tusd endpoint, avatars taken whole, videos streamed.
func DefaultProfiles() []Profile {
	const day = 24 * time.Hour
	return []Profile{
		{Name: "file", Path: "/files/", Lane: Stream, MaxBytes: 64 << 30, Lifetime: 7 * day, Flat: true},
		{Name: "avatar", Path: "/avatars/", Lane: Whole, MaxBytes: 8 << 20, MaxPixels: 50_000_000, Lifetime: day, Read: Anybody, PerOwner: 1,
			Accept: []string{"image/jpeg", "image/png", "image/webp", "image/gif", "image/heic", "image/avif"}, Variants: []int{512, 256, 64}},
		{Name: "video", Path: "/videos/", Lane: Stream, MaxBytes: 64 << 30, Lifetime: 7 * day,
			Accept: []string{"video/*"}, RejectUnreadable: true, KeepRejected: true},
	}
}

var (
	profileName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	profilePath = regexp.MustCompile(`^(/[A-Za-z0-9_-]+)+/$`)
)

// maxWholeBytes bounds a column that becomes an allocation: a whole upload is read into memory.
const maxWholeBytes = 256 << 20

// VariantFormats are the other formats that a square picture may be kept in, beside the one that everybody understands: what
// follows "image/" in their media types.
func VariantFormats() []string { return []string{"webp"} }

// VariantNames are the names that variants of the profile's uploads may have.
func (p Profile) VariantNames() []string {
	var names []string
	for _, edge := range p.Variants {
		names = append(names, VariantName(edge, ""))
		for _, format := range VariantFormats() {
			names = append(names, VariantName(edge, format))
		}
	}
	return names
}

// Check returns everything that is wrong with the row, none if it is usable.
func (p Profile) Check() []error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("profile %q: "+format, append([]any{p.Name}, args...)...))
		}
	}
	fault(!profileName.MatchString(p.Name), "name must be lower-case letters, digits and dashes, at most 32")
	fault(!profilePath.MatchString(p.Path), "path %q must look like /name/", p.Path)
	fault(p.Lane != Whole && p.Lane != Stream, "lane %q is neither %q nor %q", p.Lane, Whole, Stream)
	fault(p.MaxBytes < 0, "maxBytes must not be negative")
	fault(p.Read != "" && p.Read != OnlyOwner && p.Read != Anybody, "read %q is neither %q nor %q", p.Read, OnlyOwner, Anybody)
	fault(p.PerOwner < 0, "perOwner must not be negative")
	fault(p.Lifetime < 0 || p.Retention < 0, "lifetime and retention must not be negative")
	if p.Lane == Whole {
		fault(p.MaxBytes == 0 || p.MaxBytes > maxWholeBytes, "maxBytes must be between 1 and %d in the whole lane", maxWholeBytes)
		fault(p.MaxPixels <= 0, "maxPixels must be set in the whole lane")
		fault(len(p.Variants) == 0, "variants must name at least one size in the whole lane")
	}
	fault(p.Lane == Stream && len(p.Variants) > 0, "variants are made in the whole lane only")
	fault(p.Lane == Stream && p.MaxPixels != 0, "maxPixels is checked in the whole lane only")
	fault(p.Lane == Whole && p.RejectUnreadable, "rejectUnreadable is for the stream lane: the whole lane always does")
	fault(p.Digest != "" && p.Digest != SHA256, "digest %q is not %q", p.Digest, SHA256)
	for i, edge := range p.Variants {
		fault(edge < 1 || edge > 4096, "variant %d must be between 1 and 4096 pixels", edge)
		fault(i > 0 && edge >= p.Variants[i-1], "variants must come largest first, each once")
	}
	for _, t := range p.Accept {
		fault(!strings.Contains(t, "/"), "accept %q is not a media type", t)
	}
	return faults
}

// Accepts tells whether content of mediaType is taken.
func (p Profile) Accepts(mediaType string) bool {
	if len(p.Accept) == 0 {
		return true
	}
	for _, a := range p.Accept {
		if kind, any := strings.CutSuffix(a, "/*"); any && strings.HasPrefix(mediaType, kind+"/") || a == mediaType {
			return true
		}
	}
	return false
}
