package handlers

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/upload"
)

func TestCreateRefusesWhatTheProtocolForbids(t *testing.T) {
	s := start(t, nil)
	length := header{"Upload-Length", "5"}
	tests := []struct {
		name   string
		header header
		body   io.Reader
		status int
		code   string
	}{
		{"no length", nil, nil, 400, "missing_length"},
		{"signed length", header{"Upload-Length", "+5"}, nil, 400, "bad_length"},
		{"negative length", header{"Upload-Length", "-5"}, nil, 400, "bad_length"},
		{"length with a space", header{"Upload-Length", "5 5"}, nil, 400, "bad_length"},
		{"empty length", header{"Upload-Length", ""}, nil, 400, "bad_length"},
		{"length beyond 63 bits", header{"Upload-Length", "9223372036854775808"}, nil, 413, "too_large"},
		{"length below 63 bits", header{"Upload-Length", "-9223372036854775809"}, nil, 400, "bad_length"},
		{"known and deferred by nothing", header{"Upload-Length", "5", "Upload-Defer-Length", ""}, nil, 400, "ambiguous_length"},
		{"two lengths", header{"Upload-Length", "5", "Upload-Length", "6"}, nil, 400, "repeated_header"},
		{"known and deferred", header{"Upload-Length", "5", "Upload-Defer-Length", "1"}, nil, 400, "ambiguous_length"},
		{"deferred by another number", header{"Upload-Defer-Length", "2"}, nil, 400, "bad_length"},
		{"larger than the limit", header{"Upload-Length", "68719476737"}, nil, 413, "too_large"},
		{"metadata that is not base64", append(length, "Upload-Metadata", "a !!"), nil, 400, "bad_metadata"},
		{"metadata with a key twice", append(length, "Upload-Metadata", "a,a"), nil, 400, "bad_metadata"},
		{"metadata that is too long", append(length, "Upload-Metadata", "a "+strings.Repeat("QUFB", 5000)), nil, 400, "bad_metadata"},
		{"a body of another type", append(length, "Content-Type", "text/plain"), strings.NewReader("hello"), 415, "bad_content_type"},
		{"a body longer than the upload", append(length, "Content-Type", chunkType), strings.NewReader("hello!"), 413, "too_large"},
		{"odd concatenation", append(length, "Upload-Concat", "part"), nil, 400, "bad_concat"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := s.do(http.MethodPost, "/files/", append(test.header, tus...), test.body)
			a.want(t, statusIs(test.status), code(test.code), has("Tus-Resumable", "1.0.0"), hasNo("Location"))
		})
	}
	if left := s.stored("file"); left != 0 {
		t.Errorf("%d uploads left behind", left)
	}
}

// stored counts what is in a profile's store, in whatever state.
func (s *testServer) stored(profile string) int {
	s.t.Helper()
	n := 0
	if err := s.stores[profile].Each(func(upload.ID) bool { n++; return true }); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestAppendRefusesWhatTheProtocolForbids(t *testing.T) {
	s := start(t, nil)
	path := s.create("/files/", "Upload-Length", "10")
	tests := []struct {
		name   string
		header header
		body   string
		status int
		code   string
	}{
		{"no content type", append(tus, "Upload-Offset", "0"), "hello", 415, "bad_content_type"},
		{"another content type", append(tus, "Upload-Offset", "0", "Content-Type", "text/plain"), "hello", 415, "bad_content_type"},
		{"no offset", append(tus, "Content-Type", chunkType), "hello", 400, "bad_offset"},
		{"signed offset", append(tus, "Content-Type", chunkType, "Upload-Offset", "+0"), "hello", 400, "bad_offset"},
		{"an offset that is not the upload's", append(tus, "Content-Type", chunkType, "Upload-Offset", "3"), "hello", 409, "offset_mismatch"},
		{"more than the upload's length", append(tus, "Content-Type", chunkType, "Upload-Offset", "0"), "hello world!", 413, "too_large"},
		{"a second length", append(tus, "Content-Type", chunkType, "Upload-Offset", "0", "Upload-Length", "12"), "hello", 400, "bad_length"},
		{"no version", header{"Content-Type", chunkType, "Upload-Offset", "0"}, "hello", 412, "unsupported_version"},
		{"another version", header{"Tus-Resumable", "0.2.2", "Content-Type", chunkType, "Upload-Offset", "0"}, "hello", 412, "unsupported_version"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := s.do(http.MethodPatch, path, test.header, strings.NewReader(test.body))
			a.want(t, statusIs(test.status), code(test.code))
			switch test.status {
			case http.StatusPreconditionFailed:
				a.want(t, has("Tus-Version", "1.0.0"))
			case http.StatusConflict:
				a.want(t, has("Upload-Offset", "0"))
			}
			s.do(http.MethodHead, path, tus, nil).want(t, has("Upload-Offset", "0"))
		})
	}
}

func TestChunkedBodyLongerThanTheUploadIsTakenBack(t *testing.T) {
	s := start(t, nil)
	path := s.create("/files/", "Upload-Length", "10")
	s.patch(path, "0", strings.NewReader("hello")).want(t, statusIs(204), has("Upload-Offset", "5"))
	s.patch(path, "5", dropLength("world and more")).want(t, statusIs(413), code("too_large"))
	s.do(http.MethodHead, path, tus, nil).want(t, statusIs(200), has("Upload-Offset", "5"), hasNo("Sluice-State"))
	s.patch(path, "5", dropLength("world")).want(t, statusIs(204), has("Upload-Offset", "10"), has("Sluice-State", "ready"))
	s.do(http.MethodGet, path, nil, nil).want(t, func(a answer) string {
		if a.body != "helloworld" {
			return "content is " + a.body
		}
		return ""
	})
}

func TestMethodOverrideIsResolvedBeforeAnythingIsDecided(t *testing.T) {
	s := start(t, nil)
	path := s.create("/files/", "Upload-Length", "5")
	override := func(method string, h ...string) answer {
		return s.do(http.MethodPost, path, append(h, "X-HTTP-Method-Override", method), nil)
	}
	override("DELETE").want(t, statusIs(412)) // the version is checked for what it really is
	override("TRACE").want(t, statusIs(400), code("bad_method_override"))
	override("HEAD", tus...).want(t, statusIs(200), has("Upload-Offset", "0"), has("Content-Length", "0"))
	override("delete", tus...).want(t, statusIs(204))
	s.do(http.MethodHead, path, tus, nil).want(t, statusIs(404))
}

func TestHeadTellsWhereAnUploadStands(t *testing.T) {
	s := start(t, nil)
	const meta = "z MQ==,flag,a Mg=="
	path := s.create("/files/", "Upload-Length", "5", "Upload-Metadata", meta)
	deferred := s.create("/files/", "Upload-Defer-Length", "1")
	s.do(http.MethodHead, path, tus, nil).want(t, statusIs(200), has("Upload-Offset", "0"), has("Upload-Length", "5"),
		has("Upload-Metadata", meta), has("Cache-Control", "no-store"), hasNo("Upload-Defer-Length"), hasNo("Sluice-State"))
	s.do(http.MethodHead, deferred, tus, nil).want(t, statusIs(200), has("Upload-Defer-Length", "1"), hasNo("Upload-Length"))
	s.do(http.MethodHead, path, nil, nil).want(t, statusIs(412), has("Tus-Version", "1.0.0"))
	s.do(http.MethodHead, "/files/none", tus, nil).want(t, statusIs(404), hasNo("Upload-Offset"))
	s.patch(path, "0", strings.NewReader("hello")).want(t, statusIs(204))
	s.do(http.MethodHead, path, tus, nil).want(t, statusIs(200), has("Sluice-State", "ready"), has("Upload-Offset", "5"))
	s.do(http.MethodHead, path, nil, nil).want(t, statusIs(200), has("Content-Length", "5"), has("Accept-Ranges", "bytes"))
}

func TestDeferredLengthIsDeclaredOnce(t *testing.T) {
	s := start(t, nil)
	path := s.create("/files/", "Upload-Defer-Length", "1")
	s.patch(path, "0", strings.NewReader("hello")).want(t, statusIs(204))
	s.patch(path, "5", strings.NewReader(""), "Upload-Length", "3").want(t, statusIs(400), code("bad_length"))
	s.patch(path, "5", strings.NewReader(" wor"), "Upload-Length", "11").want(t, statusIs(204), has("Upload-Offset", "9"))
	s.patch(path, "9", strings.NewReader("ld"), "Upload-Length", "12").want(t, statusIs(400), code("bad_length"))
	s.patch(path, "9", strings.NewReader("ld"), "Upload-Length", "11").want(t, statusIs(204), has("Sluice-State", "ready"))
}

func TestEmptyUploadIsCompleteAtOnce(t *testing.T) {
	s := start(t, nil)
	s.do(http.MethodPost, "/files/", append(tus, "Upload-Length", "0"), nil).want(t, statusIs(201), has("Sluice-State", "ready"))
	s.do(http.MethodPost, "/videos/", append(tus, "Upload-Length", "0"), nil).want(t, statusIs(415), has("Sluice-State", "rejected"))
}

func TestLocationIsNeverBuiltFromTheRequest(t *testing.T) {
	s := start(t, nil)
	a := s.do(http.MethodPost, "/files/", append(tus, "Upload-Length", "5", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https"), nil)
	if got := a.Header.Get("Location"); !strings.HasPrefix(got, "/files/") {
		t.Errorf("Location is %q", got)
	}
}

func TestPreflightAllowsWhatClientsSend(t *testing.T) {
	s := start(t, nil)
	a := s.do(http.MethodOptions, "/files/", header{"Origin", "https://app.example", "Access-Control-Request-Method", "PATCH"}, nil)
	a.want(t, statusIs(204), has("Access-Control-Allow-Origin", "*"), has("Tus-Version", "1.0.0"), has("Tus-Extension", tusExtensions),
		has("Tus-Max-Size", "68719476736"))
	if methods := a.Header.Get("Access-Control-Allow-Methods"); !strings.Contains(methods, "PATCH") {
		t.Errorf("allowed methods are %q", methods)
	}
	a = s.do(http.MethodPost, "/files/", append(tus, "Origin", "https://app.example", "Upload-Length", "5"), nil)
	for _, key := range []string{"Location", "Upload-Offset", "Sluice-State", "Tus-Resumable"} {
		if exposed := a.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, key) {
			t.Errorf("%s is not exposed: %q", key, exposed)
		}
	}
}
