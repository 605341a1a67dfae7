package upload

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// ParseMetadata reads an Upload-Metadata header (tus 1.0.0, "Upload-Metadata"): comma-separated pairs of a key and a
// base64 value, the value and its space optional. It returns [ErrBadMetadata], wrapped with the pair's place, for an empty
// or repeated key, a key with characters other than visible ASCII, and a value that is not base64. An empty header is no
// metadata.
func ParseMetadata(header string) (map[string]string, error) {
	if strings.TrimSpace(header) == "" {
		return nil, nil
	}
	pairs := strings.Split(header, ",")
	meta := make(map[string]string, len(pairs))
	for i, pair := range pairs {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if !visibleASCII(key) {
			return nil, fmt.Errorf("%w: pair %d has no key of visible ASCII characters", ErrBadMetadata, i+1)
		}
		if _, twice := meta[key]; twice {
			return nil, fmt.Errorf("%w: pair %d repeats a key", ErrBadMetadata, i+1)
		}
		value, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil {
			return nil, fmt.Errorf("%w: the value of pair %d is not base64", ErrBadMetadata, i+1)
		}
		meta[key] = string(value)
	}
	return meta, nil
}

func visibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
