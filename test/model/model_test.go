package model

import (
	"slices"
	"strconv"
	"strings"
)

// profile is a kind of upload: where, how large, and whether only pictures are taken.
type profile struct {
	name, path string
	max        int64
	pictures   bool
}

// deferred is a length that is told later.
const deferred int64 = -1

// The states of an upload as a client is told them. There is no state between the last byte and ready that a client of the
// stream lane can see, but for partial and final uploads.
const (
	receiving = "receiving"
	ready     = "ready"
	rejected  = "rejected"
	gone      = "gone" // deleted; nobody is told
)

// upload is what a client knows about an upload.
type upload struct {
	number   int // from 1 on, in the order in which they were made
	location string
	profile  profile
	length   int64
	content  []byte // that was acknowledged
	metadata string // as sent
	state    string
	reason   string    // the code of why it is rejected
	concat   string    // Upload-Concat as sent
	parts    []*upload // of a final upload
	joined   bool      // a final upload has its bytes
}

// model is a server of tus 1.0.0 as one client at a time sees it.
type model struct {
	extensions []string
	uploads    []*upload
}

// places puts the path of each upload in the place of its name, {1} for the first.
func (m *model) places() *strings.Replacer {
	var pairs []string
	for _, u := range m.uploads {
		pairs = append(pairs, u.name(), u.location)
	}
	return strings.NewReplacer(pairs...)
}

func (u *upload) name() string { return "{" + number(u.number) + "}" }

func (m *model) can(extension string) bool { return slices.Contains(m.extensions, extension) }

// answers are those that the server may give to r: one, where the texts say which. A request with several faults is refused
// for one of them, whichever; but in another version of the protocol it is not even looked at.
func (m *model) answers(r request) []outcome {
	method, known := r.effective()
	versions := r.values("Tus-Resumable")
	switch {
	case !known:
		return []outcome{refuse(400, "bad_method_override").with("Sluice-State", anything)}
	case method == "OPTIONS":
		return []outcome{m.options(r)}
	case r.place == status || r.place == below:
		return m.beside(r, method)
	case method == "GET", method == "HEAD" && len(versions) == 0: // of plain HTTP
	case !slices.Equal(versions, []string{"1.0.0"}):
		return []outcome{unsupportedVersion()}
	}
	if r.place == collection {
		if method == "POST" {
			return m.create(r)
		}
		return []outcome{notAllowed()}
	}
	switch method {
	case "HEAD":
		return m.head(r, len(versions) > 0)
	case "GET":
		return m.read(r)
	case "PATCH":
		return m.expiring(r.upload, m.patch(r))
	case "DELETE":
		return []outcome{m.remove(r.upload)}
	}
	if !there(r.upload) {
		return []outcome{notAllowed(), notFound()}
	}
	return []outcome{notAllowed()}
}

// effective is the method after X-HTTP-Method-Override, which counts where it is there.
func (r request) effective() (method string, known bool) {
	override, there := r.one("X-HTTP-Method-Override")
	if !there {
		return r.method, true
	}
	return override, slices.Contains([]string{"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"}, override)
}

func notFound() outcome { return refuse(404, "not_found") }

func notAllowed() outcome { return refuse(405, "method_not_allowed").with("Allow", something) }

// unsupportedVersion: "MUST respond with 412 ... and MUST include the Tus-Version header".
func unsupportedVersion() outcome {
	return refuse(412, "unsupported_version").with("Tus-Version", "1.0.0").with("Sluice-State", anything)
}

func there(u *upload) bool { return u != nil && u.state != gone }

// told is u's Sluice-State on every answer once it is complete.
func (u *upload) told() string {
	switch {
	case !there(u) || u.state == receiving:
		return ""
	case u.isPartial():
		return something
	}
	return u.state
}

// goneFor is the answer for content that was refused.
func goneFor(u *upload) outcome {
	return refuse(410, u.reason).with("Sluice-State", rejected)
}

// options: "MUST contain the Tus-Version header. MAY include the Tus-Extension and Tus-Max-Size headers."
func (m *model) options(r request) outcome {
	return outcome{status: 204, check: func(a answer) string {
		extensions := strings.Split(a.header.Get("Tus-Extension"), ",")
		switch {
		case m.extensions != nil && !slices.Equal(extensions, m.extensions):
			return "Tus-Extension has changed"
		case a.header.Get("Tus-Max-Size") != strconv.FormatInt(r.profile.max, 10):
			return "Tus-Max-Size is not the profile's"
		case a.header.Get("Tus-Checksum-Algorithm") != strings.Join(algorithmNames(), ","):
			return "Tus-Checksum-Algorithm is not the README's"
		}
		return ""
	}}.with("Tus-Version", "1.0.0")
}

// head: "MUST always include the Upload-Offset ... even if it is 0 or complete", "MUST include the Upload-Length if known",
// else "Upload-Defer-Length: 1 in every HEAD", "MUST contain the Upload-Metadata as specified by the Client", "MUST prevent the
// client and/or proxies from caching".
//
// Without Tus-Resumable it is about the content (README, "Endpoints").
func (m *model) head(r request, versioned bool) []outcome {
	u := r.upload
	switch {
	case !versioned && !there(u):
		return []outcome{unsupportedVersion(), notFound()}
	case !versioned && (u.state != ready || u.isPartial()):
		return []outcome{unsupportedVersion()}
	case !versioned:
		return []outcome{u.contentHeader(r)}
	case !there(u):
		return []outcome{notFound()}
	case u.state == rejected:
		return []outcome{goneFor(u)}
	case u.isFinal() && u.state == receiving:
		return []outcome{m.headPending(u)}
	}
	return []outcome{m.standing(u)}
}

func (m *model) standing(u *upload) outcome {
	o := outcome{status: 200, check: uncached}.with("Upload-Offset", number(len(u.content)))
	o = o.with("Sluice-State", u.told()).with("Upload-Expires", m.expires(u))
	o = o.with("Upload-Metadata", u.metadata).with("Upload-Concat", u.concat)
	if u.length == deferred {
		return o.with("Upload-Defer-Length", "1")
	}
	return o.with("Upload-Length", number(u.length))
}

func uncached(a answer) string {
	if a.header.Get("Cache-Control") != "no-store" {
		return "Cache-Control is not no-store"
	}
	return ""
}

// expires is u's Upload-Expires: "MUST be included if the upload is going to expire", as what is unfinished is, or waits to be
// joined.
func (m *model) expires(u *upload) string {
	switch {
	case !m.can("expiration"):
		return ""
	case u.joined:
		return anything
	case u.state == receiving || u.isPartial():
		return something
	}
	return ""
}

// expiring are the answers to a PATCH of u: "MUST be included in every PATCH response if the upload is going to expire".
func (m *model) expiring(u *upload, answers []outcome) []outcome {
	for i, o := range answers {
		if there(u) && u.state == receiving && !u.isFinal() && o.then == nil {
			answers[i] = o.with("Upload-Expires", m.expires(u))
		}
	}
	return answers
}

// remove: "SHOULD free associated resources and MUST respond with 204. For all future requests ... 404 or 410".
func (m *model) remove(u *upload) outcome {
	if !there(u) {
		return notFound()
	}
	return outcome{status: 204, then: func(answer) { u.state, u.content = gone, nil }}.with("Sluice-State", anything)
}
