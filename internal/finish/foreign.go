package finish

import (
	"slices"
	"strings"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// native are the pictures that need no converter, in the order in which people are told of them.
var native = []string{"image/jpeg", "image/png", "image/webp", "image/gif"}

// readable is profile without the types that are refused for want of a converter: nobody is told to send those.
func (p *Pipeline) readable(profile upload.Profile) upload.Profile {
	if p.foreign == nil {
		profile.Accept = slices.DeleteFunc(slices.Clone(profile.Accept), media.Foreign)
	}
	return profile
}

// unreadable refuses a type that profile would take if this server had a converter, and says what to send in its place.
func unreadable(profile upload.Profile, mediaType string) *upload.Rejection {
	var names []string
	for _, t := range native {
		if profile.Accepts(t) {
			names = append(names, typeName(t))
		}
	}
	if len(names) == 0 {
		return upload.Reject(upload.CodeUnsupportedType, "%s pictures cannot be read by this server.", typeName(mediaType))
	}
	last := len(names) - 1
	list := names[last]
	if last > 0 {
		list = strings.Join(names[:last], ", ") + " or " + list
	}
	return upload.Reject(upload.CodeUnsupportedType, "%s pictures cannot be read by this server; send %s.", typeName(mediaType), list)
}
