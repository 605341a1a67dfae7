package handlers

import (
	"net/http"
	"strings"
	"testing"

	"sluice/internal/upload"
)

func TestFormatIsChosenByAccept(t *testing.T) {
	both := []upload.Variant{
		{Name: "512", MediaType: "image/jpeg"}, {Name: "512-webp", MediaType: "image/webp", Of: "512"},
		{Name: "64", MediaType: "image/jpeg"}, {Name: "64-webp", MediaType: "image/webp", Of: "64"},
	}
	tests := []struct{ name, accept, want string }{
		{"nothing said", "", "512"},
		{"anything", "*/*", "512"},
		{"any picture", "image/*", "512"},
		{"WebP", "image/webp", "512-webp"},
		{"a browser", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "512-webp"},
		{"WebP and JPEG", "image/jpeg, image/webp", "512-webp"},
		{"JPEG rather", "image/webp;q=0.8, image/jpeg", "512"},
		{"anything rather", "image/webp;q=0.8, */*;q=0.9", "512"},
		{"WebP rather", "image/webp;q=0.801, image/jpeg;q=0.8", "512-webp"},
		{"no WebP", "image/webp;q=0, */*", "512"},
		{"no WebP in digits", "image/webp;q=0.000", "512"},
		{"hardly WebP", "image/webp;q=0.001", "512-webp"},
		{"neither", "text/html", "512"},
		{"in capitals, with spaces", "IMAGE/WEBP ; Q=1.0", "512-webp"},
		{"empty items", ", ,image/webp,,", "512-webp"},
		{"the first of two counts", "image/webp;q=0, image/webp", "512"},
		{"a weight too large", "image/webp;q=1.1", "512"},
		{"a weight of too many digits", "image/webp;q=0.1234", "512"},
		{"a weight that is none", "image/webp;q=high", "512"},
		{"a weight with a sign", "image/webp;q=0.-1", "512"},
		{"a parameter", "image/webp;version=2", "512"},
		{"no media range", "webp", "512"},
		{"beyond what is looked at", rangesOf(64) + ",image/webp", "512"},
		{"the last that is looked at", rangesOf(63) + ",image/webp", "512-webp"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := choose(both, "512", test.accept); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	old := both[:1]
	for name, got := range map[string]string{"512": choose(old, "512", "image/webp"), "64-webp": choose(both, "64-webp", "image/jpeg"), "7": choose(both, "7", "image/webp")} {
		if got != name {
			t.Errorf("got %s, want %s", got, name)
		}
	}
}

func rangesOf(n int) string {
	var ranges []string
	for i := range n {
		ranges = append(ranges, "x/"+itoa(i))
	}
	return strings.Join(ranges, ",")
}

func TestVariantIsServedInEachFormat(t *testing.T) {
	s := start(t, nil)
	path, last := s.avatar(picture(t, 700, 600))
	last.want(t, statusIs(204), has("Sluice-State", "ready"))
	webp := header{"Accept", "image/webp,*/*;q=0.8"}
	immutable := has("Cache-Control", "public, max-age=31536000, immutable")
	forever := []check{immutable, has("X-Content-Type-Options", "nosniff"), has("Accept-Ranges", "bytes")}
	tags := map[string]bool{}
	for _, edge := range []string{"512", "256", "64"} {
		plain := s.do(http.MethodGet, path+"/"+edge, nil, nil)
		small := s.do(http.MethodGet, path+"/"+edge, webp, nil)
		direct := s.do(http.MethodGet, path+"/"+edge+"-webp", nil, nil)
		plain.want(t, append(forever, statusIs(200), has("Content-Type", "image/jpeg"), varies(true))...)
		small.want(t, append(forever, statusIs(200), has("Content-Type", "image/webp"), varies(true))...)
		direct.want(t, append(forever, statusIs(200), has("Content-Type", "image/webp"), varies(false), has("ETag", small.Header.Get("ETag")), bodyIs(small.body))...)
		if len(small.body) >= len(plain.body) || !strings.HasPrefix(small.body, "RIFF") {
			t.Errorf("%s: %d bytes of WebP, %d of JPEG", edge, len(small.body), len(plain.body))
		}
		for _, a := range []answer{plain, small} {
			etag := a.Header.Get("ETag")
			if tags[etag] || !strings.HasPrefix(etag, `"`) {
				t.Errorf("ETag %s is no strong one, or another's too", etag)
			}
			tags[etag] = true
			accepts := header{"Accept", a.Header.Get("Content-Type")}
			s.do(http.MethodGet, path+"/"+edge, append(accepts, "If-None-Match", etag), nil).want(t, statusIs(304), bodyIs(""), varies(true), has("ETag", etag), immutable)
			s.do(http.MethodHead, path+"/"+edge, accepts, nil).want(t, append(forever, statusIs(200), bodyIs(""), varies(true), has("ETag", etag),
				has("Content-Type", accepts[1]), has("Content-Length", itoa(len(a.body))))...)
			s.do(http.MethodGet, path+"/"+edge, append(accepts, "Range", "bytes=0-9", "If-Range", etag), nil).want(t, statusIs(206), bodyIs(a.body[:10]), varies(true))
		}
		other := plain.Header.Get("ETag") // of the format that is not served here
		s.do(http.MethodGet, path+"/"+edge, append(webp, "If-None-Match", other), nil).want(t, statusIs(200), has("Content-Type", "image/webp"))
	}
	s.do(http.MethodGet, path+"/99", webp, nil).want(t, statusIs(404), hasNo("ETag"), noLongCaching)
	s.do(http.MethodGet, path+"/512", append(webp, "Range", "bytes=999999-"), nil).want(t, statusIs(416), noLongCaching)
	s.do(http.MethodGet, path, webp, nil).want(t, statusIs(200), has("Content-Type", "image/jpeg"), has("Cache-Control", "private, no-cache"), varies(false))
}

// varies tells whether caches have to keep an answer for each Accept.
func varies(want bool) check {
	return func(a answer) string {
		if got := strings.Contains(strings.Join(a.Header.Values("Vary"), ","), "Accept"); got != want {
			return "Vary is " + strings.Join(a.Header.Values("Vary"), ",")
		}
		return ""
	}
}

func noLongCaching(a answer) string {
	if strings.Contains(a.Header.Get("Cache-Control"), "max-age") {
		return "an error may be kept: " + a.Header.Get("Cache-Control")
	}
	return ""
}

func TestStatusListsEachVariantOnceWithItsFormats(t *testing.T) {
	s := start(t, nil)
	path, _ := s.avatar(picture(t, 700, 600))
	body := s.do(http.MethodGet, path+"/status", nil, nil).body
	for _, edge := range []string{"512", "256", "64"} {
		url := path + "/" + edge
		for _, want := range []string{`"name":"` + edge + `","mediaType":"image/jpeg","width":` + edge, `"url":"` + url + `","alternatives":[{"mediaType":"image/webp","bytes":`, `"url":"` + url + `-webp"}]`} {
			if strings.Count(body, want) != 1 {
				t.Errorf("not once there: %s\n%s", want, body)
			}
		}
	}
	if strings.Contains(body, `"of"`) || strings.Count(body, `"name"`) != 3 {
		t.Errorf("the status says more than once what there is: %s", body)
	}
	old := []upload.Variant{{Name: "64", MediaType: "image/jpeg"}}
	if got := statusVariants("/a/x", old); len(got) != 1 || got[0].Alternatives != nil || got[0].URL != "/a/x/64" {
		t.Errorf("of an old record: %+v", got)
	}
}
