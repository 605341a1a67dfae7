package finish

import (
	"slices"
	"testing"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// The store removes and mends by the names that a profile says; a picture of another name would stay for ever.
func TestPicturesHaveNamesThatTheProfileKnows(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	rec, err := pipeline(t, p, files, 1<<30).Whole(t.Context(), receive(t, files, picture(t, 800, 600)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range rec.Variants {
		names = append(names, v.Name)
	}
	if known := p.VariantNames(); !slices.Equal(names, known) {
		t.Errorf("got %v, want %v", names, known)
	}
}

func TestVariantsOfOneSizeBelongTogether(t *testing.T) {
	got := variantFiles([]media.Picture{
		{Edge: 512, MediaType: "image/jpeg", Data: []byte("12345")}, {Edge: 512, MediaType: "image/webp", Data: []byte("123")}, {Edge: 64, MediaType: "image/jpeg"},
	})
	want := []upload.Variant{
		{Name: "512", MediaType: "image/jpeg", Width: 512, Height: 512, Bytes: 5},
		{Name: "512-webp", MediaType: "image/webp", Width: 512, Height: 512, Bytes: 3, Of: "512"},
		{Name: "64", MediaType: "image/jpeg", Width: 64, Height: 64},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Variant != want[i] {
			t.Errorf("got %+v, want %+v", got[i].Variant, want[i])
		}
	}
}

func TestPictureWithAnEndlessSideIsRejected(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	header := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x00\x00\x00\x00\x00\x02\x08\x02\x00\x00\x00\x62\x84\x06\x21\x00\x00\x00\x00IEND\xae\x42\x60\x82"
	rec, err := pipeline(t, p, files, 1<<30).Whole(t.Context(), receive(t, files, header))
	if err != nil || rec.State != upload.Rejected || rec.Reason.Code != upload.CodeTooManyPixels {
		t.Errorf("got %s, %+v, %v", rec.State, rec.Reason, err)
	}
}
