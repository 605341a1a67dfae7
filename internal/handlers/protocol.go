package handlers

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"sluice/internal/upload"
)

// The text of tus 1.0.0, as far as it can be checked before an upload is looked up. What passes here, tusd takes.

const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,creation-defer-length,expiration,termination," +
		"checksum,checksum-trailer,concatenation,concatenation-unfinished"
	versionKey = "Tus-Resumable" // in canonical form
	chunkType  = "application/offset+octet-stream"
)

// maxMetadata bounds what a client makes us keep about an upload, in bytes of its header.
const maxMetadata = 16 << 10

// checkVersion is the protocol's "Tus-Resumable": a request in another version is not processed.
func checkVersion(r *http.Request, answer http.Header) error {
	if values := r.Header[versionKey]; len(values) == 1 && values[0] == tusVersion {
		return nil
	}
	answer.Set("Tus-Version", tusVersion)
	return &clientError{http.StatusPreconditionFailed, "unsupported_version", "This server speaks tus " + tusVersion + ": Tus-Resumable must say so."}
}

// one returns the only value of a header, "" if it is absent. The key is in its canonical form.
func one(h http.Header, key string) (string, error) {
	values := h[key]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", badRequest("repeated_header", key+" must be sent once.")
}

// digits reads a number of bytes, 1*DIGIT as the protocol has it: no sign, no space. One that no file can have becomes the
// largest that there is, here and in the header, so that it is compared like any other.
func digits(h http.Header, key, code string) (int64, error) {
	text, err := one(h, key)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, badRequest(code, key+" must be a number of bytes in decimal digits.")
	}
	if err != nil { // beyond 63 bits: n is the largest
		h.Set(key, strconv.FormatInt(n, 10))
	}
	return n, nil
}

// checkCreate checks a POST that makes an upload (section "Creation"), and returns its metadata header.
func (e *endpoint) checkCreate(r *http.Request) (metadata string, err error) {
	length, err := declaredLength(r.Header)
	if err != nil {
		return "", err
	}
	if err := e.checkLength(length); err != nil {
		return "", err
	}
	if err := checkChunkType(r, r.ContentLength != 0); err != nil {
		return "", err
	}
	if length != upload.Deferred && r.ContentLength > length {
		return "", upload.ErrTooLarge
	}
	return checkMetadata(r.Header)
}

// checkMetadata returns Upload-Metadata if it is as the protocol has it.
func checkMetadata(h http.Header) (string, error) {
	metadata, err := one(h, "Upload-Metadata")
	if err != nil {
		return "", err
	}
	if len(metadata) > maxMetadata {
		return "", badRequest("bad_metadata", "Upload-Metadata must not be longer than "+sizeText(maxMetadata)+".")
	}
	_, err = upload.ParseMetadata(metadata)
	return metadata, err
}

// checkLength holds a length against the profile's limit (section "Creation", "POST").
func (e *endpoint) checkLength(length int64) error {
	if e.profile.MaxBytes == 0 || length <= e.profile.MaxBytes {
		return nil
	}
	return &clientError{http.StatusRequestEntityTooLarge, "too_large", "The file is larger than the " + sizeText(e.profile.MaxBytes) + " allowed here."}
}

// declaredLength reads Upload-Length and Upload-Defer-Length, of which exactly one must be there.
func declaredLength(h http.Header) (int64, error) {
	deferred, err := one(h, "Upload-Defer-Length")
	if err != nil {
		return 0, err
	}
	_, known := h["Upload-Length"]
	_, later := h["Upload-Defer-Length"]
	switch {
	case !later && !known:
		return 0, badRequest("missing_length", "Upload-Length is missing; Upload-Defer-Length: 1 says that it comes later.")
	case later && known:
		return 0, badRequest("ambiguous_length", "Upload-Length and Upload-Defer-Length exclude each other.")
	case deferred == "1":
		return upload.Deferred, nil
	case later:
		return 0, badRequest("bad_length", "Upload-Defer-Length can only be 1.")
	}
	return digits(h, "Upload-Length", "bad_length")
}

// checkAppend checks a PATCH (section "PATCH").
func (e *endpoint) checkAppend(r *http.Request) error {
	if err := checkChunkType(r, true); err != nil {
		return err
	}
	if _, err := digits(r.Header, "Upload-Offset", "bad_offset"); err != nil {
		return err
	}
	if _, known := r.Header["Upload-Length"]; !known {
		return nil
	}
	length, err := digits(r.Header, "Upload-Length", "bad_length")
	if err != nil {
		return err
	}
	return e.checkLength(length)
}

// checkChunkType demands the protocol's content type of bytes for an upload, and spells it as tusd compares it.
func checkChunkType(r *http.Request, bytes bool) error {
	given := r.Header.Get("Content-Type")
	if given == chunkType {
		return nil
	}
	if mediaType, _, err := mime.ParseMediaType(given); err == nil && mediaType == chunkType {
		r.Header.Set("Content-Type", chunkType)
		return nil
	}
	if !bytes {
		return nil // nothing is described
	}
	return &clientError{http.StatusUnsupportedMediaType, "bad_content_type", "Content-Type must be " + chunkType + " for a request that carries bytes of an upload."}
}

// sizeText is n for a person, in the largest unit that divides it.
func sizeText(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	unit := 0
	for n >= 1024 && n%1024 == 0 && unit < len(units)-1 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatInt(n, 10) + " " + units[unit]
}
