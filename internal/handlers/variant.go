package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/internal/upload"
)

// variantFor is how long a variant may be kept by whoever has it: a year, the longest that caches honour.
const variantFor = 365 * 24 * time.Hour

// variant serves a file derived from an upload, in the format that suits the request best (RFC 9110, section 12.5.1).
//
// What an address answers never changes, so caches need not ask again. They may be shared ones: while authentication is off
// everybody may read. The price is that a copy outlives the upload's deletion; who cannot pay that reads the content itself,
// which caches may not keep unasked.
func (e *endpoint) variant(req *request, r *http.Request, name string) {
	e.count(http.MethodGet)
	chosen := name
	if rec, err := e.store.Lookup(req.upload); err == nil {
		chosen = choose(rec.Variants, name, strings.Join(r.Header.Values("Accept"), ","))
	}
	file, rec, err := e.store.OpenVariant(req.upload, chosen)
	if err != nil {
		req.fail(err)
		return
	}
	defer file.Close()
	h := req.w.Header()
	i := slices.IndexFunc(rec.Variants, func(v upload.Variant) bool { return v.Name == chosen })
	v := rec.Variants[i]
	setContentHeader(h, v.MediaType, "")
	if v.Of == "" || chosen != name { // the address of one format does not depend on what is accepted
		h.Add("Vary", "Accept")
	}
	// The length is in it for those who had the variants made anew, by fsck and a later version.
	h.Set("ETag", fmt.Sprintf(`"%s-%s-%x"`, rec.ID, chosen, v.Bytes))
	h.Set("Cache-Control", e.variantCaching(rec))
	serveContent(req, r, rec, file)
}

func (e *endpoint) variantCaching(rec upload.Record) string {
	whose := "public"
	if e.h.ownerHeader != "" && e.profile.Read != upload.Anybody { // a shared cache would serve it to whoever asks
		whose = "private"
	}
	left := variantFor
	if !rec.Expires.IsZero() {
		left = max(0, min(left, time.Until(rec.Expires)))
	}
	return fmt.Sprintf("%s, max-age=%d, immutable", whose, left/time.Second)
}

// choose returns the name of the format of a variant to serve: another than the one that everybody understands only if it
// is accepted by its own name, and as gladly. Who says "*/*", or nothing, may not know that there are others.
func choose(variants []upload.Variant, name, accept string) string {
	i := slices.IndexFunc(variants, func(v upload.Variant) bool { return v.Name == name })
	if i < 0 || accept == "" {
		return name
	}
	ranges := parseAccept(accept)
	for _, v := range variants {
		exact, named := ranges[v.MediaType]
		if v.Of == name && named && exact > 0 && exact >= ranges.quality(variants[i].MediaType) {
			return v.Name
		}
	}
	return name
}

// acceptRanges are the media ranges of an Accept header with their quality, in thousandths.
type acceptRanges map[string]int

// maxRangesAccepted bounds how much of a header is looked at; browsers send about ten.
const maxRangesAccepted = 64

// parseAccept leaves out what it does not understand, and ranges with parameters: no picture has any.
func parseAccept(accept string) acceptRanges {
	ranges := acceptRanges{}
	for item := range strings.SplitSeq(accept, ",") {
		if len(ranges) == maxRangesAccepted {
			break
		}
		mediaRange, parameters, _ := strings.Cut(item, ";")
		mediaRange = strings.ToLower(strings.Trim(mediaRange, " \t"))
		quality, ok := parseQuality(parameters)
		if _, repeated := ranges[mediaRange]; ok && !repeated && strings.Contains(mediaRange, "/") {
			ranges[mediaRange] = quality
		}
	}
	return ranges
}

// parseQuality reads the weight of a range (RFC 9110, section 12.4.2): "q=" and at most three digits behind the point.
func parseQuality(parameters string) (thousandths int, ok bool) {
	parameters = strings.Trim(parameters, " \t")
	if parameters == "" {
		return 1000, true
	}
	key, value, _ := strings.Cut(parameters, "=")
	whole, part, _ := strings.Cut(value, ".")
	if !strings.EqualFold(key, "q") || whole != "0" && whole != "1" || len(part) > 3 || strings.Trim(part, "0123456789") != "" {
		return 0, false
	}
	for _, digit := range (whole + part + "000")[:4] {
		thousandths = 10*thousandths + int(digit-'0')
	}
	return thousandths, thousandths <= 1000
}

// quality is that of the most specific range which covers a media type; 0 if none does.
func (a acceptRanges) quality(mediaType string) int {
	kind, _, _ := strings.Cut(mediaType, "/")
	for _, mediaRange := range []string{mediaType, kind + "/*", "*/*"} {
		if quality, ok := a[mediaRange]; ok {
			return quality
		}
	}
	return 0
}
