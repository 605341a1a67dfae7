package finish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// Whole settles an upload of the whole lane: its file is read into memory, decoded, turned, cropped, scaled and encoded
// anew. The verdict is waited for until ctx is done; then rec comes back as it was, and the work goes on.
func (p *Pipeline) Whole(ctx context.Context, rec upload.Record) (upload.Record, error) {
	return p.settle(ctx, rec, false)
}

// whole processes the picture in rec. It holds the file, and what decoding needs, only while the gate has room for both, so
// however many arrive the memory stays within it.
//
// The header is looked at in a pass of its own, which needs only room for the file. Taking more while holding some would
// let many jobs wait for each other for ever; giving all back in between costs a second read, from the page cache.
func (p *Pipeline) whole(ctx context.Context, lane Lane, rec upload.Record) (upload.Outcome, error) {
	profile := lane.Profile
	var info media.Info
	err := p.hold(ctx, lane, rec, 0, func(data []byte) (err error) {
		info, err = p.inspect(profile, data)
		return err
	})
	if err != nil {
		return upload.Outcome{}, err
	}
	var pictures []media.Picture
	digest := rec.Digest
	err = p.hold(ctx, lane, rec, info.DecodeBytes(profile.Variants), func(data []byte) (err error) {
		if digest == "" && profile.Digest != "" {
			sum := sha256.Sum256(data)
			digest = upload.FormatDigest(profile.Digest, sum[:])
		}
		pictures, err = p.squares(ctx, data, info, profile.Variants)
		return err
	})
	if errors.Is(err, media.ErrMalformed) || errors.Is(err, media.ErrUnsupported) {
		return upload.Outcome{}, upload.Reject(upload.CodeUnreadableImage, "The picture is damaged or incomplete and could not be read.")
	}
	return upload.Outcome{MediaType: info.MediaType, Variants: variantFiles(pictures), Digest: digest}, err
}

// squares makes the pictures; what Go cannot decode is first made into something that it can.
func (p *Pipeline) squares(ctx context.Context, data []byte, info media.Info, edges []int) (_ []media.Picture, err error) {
	if child := info.ChildBytes(); child > 0 {
		p.lend(child)
		data, info, err = p.foreign.Convert(ctx, data, info, edges[0])
		p.lend(-child)
		if err != nil {
			return nil, err
		}
	}
	return media.Squares(ctx, data, info, edges)
}

// hold reads the file of rec into memory and calls do with it, when the gate has room for it and extra more bytes.
func (p *Pipeline) hold(ctx context.Context, lane Lane, rec upload.Record, extra int64, do func([]byte) error) error {
	need := rec.Length + extra
	if need > p.memory {
		return upload.Reject(upload.CodeTooManyPixels, "The picture needs more memory to be read than this server gives to one.")
	}
	if err := p.enter(ctx, need); err != nil {
		return err
	}
	p.inUse.Add(need)
	p.metrics.gate.Add(float64(need))
	defer func() {
		p.metrics.gate.Sub(float64(need))
		p.gate.Release(need)
		if p.inUse.Add(-need) == 0 && need > giveBack {
			debug.FreeOSMemory()
		}
	}()
	data, err := readWhole(lane.Store, rec)
	if err != nil {
		return err
	}
	return do(data)
}

// enter waits until the gate has room for need bytes. Who comes first goes first: a large job is not overtaken by small ones for ever.
func (p *Pipeline) enter(ctx context.Context, need int64) error {
	p.metrics.waiting.Inc()
	defer p.metrics.waiting.Dec()
	return p.gate.Acquire(ctx, need)
}

// giveBack is the size of a job, in bytes, after which an idle pipeline returns what it used to the system: it was much, and
// the runtime would keep it for minutes.
const giveBack = 64 << 20

func readWhole(store Store, rec upload.Record) ([]byte, error) {
	file, _, err := store.Open(rec.ID)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, rec.Length) // bounded by the profile's maxBytes
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("finish: read %s: %w", rec.ID, err)
	}
	return data, nil
}

// inspect judges a picture by its header, before anything is decoded.
func (p *Pipeline) inspect(profile upload.Profile, data []byte) (media.Info, error) {
	info, err := media.Inspect(data)
	if mediaType := media.Sniff(data); p.foreign == nil && media.Foreign(mediaType) && profile.Accepts(mediaType) {
		return info, unreadable(profile, mediaType)
	}
	switch {
	case errors.Is(err, media.ErrUnsupported):
		return info, unsupported(p.readable(profile), media.Sniff(data[:min(len(data), upload.HeadBytes)]), len(data) == 0)
	case errors.Is(err, media.ErrMalformed):
		return info, upload.Reject(upload.CodeUnreadableImage, "The picture is damaged and could not be read.")
	case err != nil:
		return info, err
	case !profile.Accepts(info.MediaType):
		return info, unsupported(p.readable(profile), info.MediaType, false)
	}
	if max(info.Width, info.Height) > media.MaxSide {
		return info, upload.Reject(upload.CodeTooManyPixels, "The picture has %d x %d pixels; no side may have more than %d.",
			info.Width, info.Height, media.MaxSide)
	}
	if info.Pixels() > profile.MaxPixels {
		return info, upload.Reject(upload.CodeTooManyPixels, "The picture has %d x %d pixels, more than the %d million allowed.",
			info.Width, info.Height, profile.MaxPixels/1_000_000)
	}
	return info, nil
}

// unsupported says which types are taken and what came instead, in words for a person.
func unsupported(profile upload.Profile, mediaType string, empty bool) *upload.Rejection {
	if !empty && profile.Accepts(mediaType) {
		return upload.Reject(upload.CodeUnsupportedType, "This is a kind of %s that cannot be read here.", typeName(mediaType))
	}
	names := make([]string, 0, len(profile.Accept))
	for _, t := range profile.Accept {
		names = append(names, typeName(t))
	}
	return upload.Reject(upload.CodeUnsupportedType, "%s Accepted here: %s.", whatItIs(mediaType, empty), strings.Join(names, ", "))
}

// whatItIs says it in a sentence. A type that people do not call by its name is none that they know.
func whatItIs(mediaType string, empty bool) string {
	name := typeName(mediaType)
	switch {
	case empty:
		return "This file is empty."
	case name == mediaType:
		return "This file is of another type."
	}
	return "This file is " + name + "."
}

// familiar are types by the names that people have for them.
var familiar = map[string]string{
	"text/plain": "plain text", "text/html": "a web page", "image/webp": "WebP", "image/svg+xml": "SVG", "image/vnd.adobe.photoshop": "a Photoshop file",
	"application/pdf": "a PDF", "application/json": "JSON", "application/zip": "an archive", "application/gzip": "an archive",
	"application/x-7z-compressed": "an archive", "application/x-rar-compressed": "an archive", "application/x-tar": "an archive",
	"application/vnd.microsoft.portable-executable": "a program", "application/x-elf": "a program", "application/x-executable": "a program",
	"application/x-mach-binary": "a program",
}

// typeName is what people call a media type, or a pattern of media types.
func typeName(mediaType string) string {
	kind, format, _ := strings.Cut(mediaType, "/")
	switch {
	case format == "*":
		return "any " + kind
	case familiar[mediaType] != "":
		return familiar[mediaType]
	case kind == "image":
		return strings.ToUpper(format)
	case kind == "audio":
		return "a sound"
	case kind == "video":
		return "a video"
	case strings.Contains(format, "officedocument") || strings.Contains(format, "opendocument") || format == "msword":
		return "a document"
	}
	return mediaType
}

// variantFiles names the pictures: by their edge, and by their format too where that edge is there already.
func variantFiles(pictures []media.Picture) []upload.VariantFile {
	files := make([]upload.VariantFile, 0, len(pictures))
	last := 0
	for _, pic := range pictures {
		v := upload.Variant{Name: upload.VariantName(pic.Edge, ""), MediaType: pic.MediaType, Width: pic.Edge, Height: pic.Edge, Bytes: int64(len(pic.Data))}
		if pic.Edge == last {
			v.Of, v.Name = v.Name, upload.VariantName(pic.Edge, strings.TrimPrefix(pic.MediaType, "image/"))
		}
		last = pic.Edge
		files = append(files, upload.VariantFile{Variant: v, Data: pic.Data})
	}
	return files
}
