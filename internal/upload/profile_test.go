package upload_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sluice/internal/upload"
)

func TestBuiltInProfilesAreSound(t *testing.T) {
	names, paths := make(map[string]bool), make(map[string]bool)
	for _, p := range upload.DefaultProfiles() {
		if faults := p.Check(); len(faults) > 0 {
			t.Errorf("%s: %v", p.Name, faults)
		}
		if names[p.Name] || paths[p.Path] {
			t.Errorf("%s or %s is there twice", p.Name, p.Path)
		}
		names[p.Name], paths[p.Path] = true, true
	}
}

func TestCheckNamesEveryFault(t *testing.T) {
	stream, whole := upload.DefaultProfiles()[0], upload.DefaultProfiles()[1]
	for _, tt := range []struct {
		name  string
		from  upload.Profile
		spoil func(p *upload.Profile)
		want  []string // a part of each fault
	}{
		{"nothing", stream, func(p *upload.Profile) {}, nil},
		{"no limit", stream, func(p *upload.Profile) { p.MaxBytes = 0 }, nil},
		{"largest whole", whole, func(p *upload.Profile) { p.MaxBytes = 256 << 20 }, nil},
		{"nested path", stream, func(p *upload.Profile) { p.Path = "/a/b_c-D/" }, nil},
		{"empty name", stream, func(p *upload.Profile) { p.Name = "" }, []string{"name"}},
		{"upper name", stream, func(p *upload.Profile) { p.Name = "File" }, []string{"name"}},
		{"name as path", stream, func(p *upload.Profile) { p.Name = "../x" }, []string{"name"}},
		{"long name", stream, func(p *upload.Profile) { p.Name = strings.Repeat("a", 33) }, []string{"name"}},
		{"open path", stream, func(p *upload.Profile) { p.Path = "/files" }, []string{"path"}},
		{"root path", stream, func(p *upload.Profile) { p.Path = "/" }, []string{"path"}},
		{"odd path", stream, func(p *upload.Profile) { p.Path = "/a/{id}/" }, []string{"path"}},
		{"lane", stream, func(p *upload.Profile) { p.Lane = "slow" }, []string{"lane"}},
		{"negative", stream, func(p *upload.Profile) { p.MaxBytes, p.Lifetime = -1, -time.Second }, []string{"maxBytes", "lifetime"}},
		{"retention", stream, func(p *upload.Profile) { p.Retention = -1 }, []string{"retention"}},
		{"pixels of a stream", stream, func(p *upload.Profile) { p.MaxPixels = 1 }, []string{"maxPixels"}},
		{"variants of a stream", stream, func(p *upload.Profile) { p.Variants = []int{1} }, []string{"variants"}},
		{"whole without a limit", whole, func(p *upload.Profile) { p.MaxBytes = 0 }, []string{"maxBytes"}},
		{"whole too large", whole, func(p *upload.Profile) { p.MaxBytes = 256<<20 + 1 }, []string{"maxBytes"}},
		{"whole without pixels", whole, func(p *upload.Profile) { p.MaxPixels = 0 }, []string{"maxPixels"}},
		{"whole without variants", whole, func(p *upload.Profile) { p.Variants = nil }, []string{"variants"}},
		{"variants in disorder", whole, func(p *upload.Profile) { p.Variants = []int{64, 64, 128} }, []string{"largest first", "largest first"}},
		{"variants out of bounds", whole, func(p *upload.Profile) { p.Variants = []int{4097, 0} }, []string{"4097", "variant 0"}},
		{"unreadable, whole", whole, func(p *upload.Profile) { p.RejectUnreadable = true }, []string{"rejectUnreadable"}},
		{"kept, whole", whole, func(p *upload.Profile) { p.KeepRejected = true }, nil},
		{"digest", whole, func(p *upload.Profile) { p.Digest = "sha-256" }, nil},
		{"another digest", stream, func(p *upload.Profile) { p.Digest = "md5" }, []string{"digest"}},
		{"type", stream, func(p *upload.Profile) { p.Accept = []string{"video"} }, []string{"accept"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.from
			tt.spoil(&p)
			faults := p.Check()
			if len(faults) != len(tt.want) {
				t.Fatalf("got %v, want %d faults", faults, len(tt.want))
			}
			for i, want := range tt.want {
				if got := faults[i].Error(); !strings.Contains(got, want) {
					t.Errorf("got %q, want something about %q", got, want)
				}
			}
		})
	}
}

func TestAcceptsTypesOrWholeKinds(t *testing.T) {
	for _, tt := range []struct {
		accept    []string
		mediaType string
		want      bool
	}{
		{nil, "anything/at-all", true}, {nil, "", true},
		{[]string{"image/png"}, "image/png", true}, {[]string{"image/png"}, "image/png2", false}, {[]string{"image/png"}, "", false},
		{[]string{"video/*"}, "video/mp4", true}, {[]string{"video/*"}, "videos/mp4", false}, {[]string{"video/*"}, "audio/mp4", false},
		{[]string{"image/png", "video/*"}, "video/webm", true}, {[]string{"video/*"}, "video", false},
	} {
		if got := (upload.Profile{Accept: tt.accept}).Accepts(tt.mediaType); got != tt.want {
			t.Errorf("%q by %q: got %t, want %t", tt.mediaType, tt.accept, got, tt.want)
		}
	}
}

// Whoever acts on an error must be able to tell it from every other.
func TestErrorsAreDistinct(t *testing.T) {
	all := []error{upload.ErrNotFound, upload.ErrGone, upload.ErrExists, upload.ErrLocked, upload.ErrInterrupted, upload.ErrShutdown,
		upload.ErrOffsetMismatch, upload.ErrTooLarge, upload.ErrNotReady, upload.ErrComplete, upload.ErrInsufficientStorage,
		upload.ErrUnreadable, upload.ErrBadMetadata}
	for i, a := range all {
		for j, b := range all {
			if (i != j) == errors.Is(a, b) || i != j && a.Error() == b.Error() {
				t.Errorf("%v and %v", a, b)
			}
		}
	}
}
