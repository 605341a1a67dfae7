package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/upload"
)

func TestTheExampleInTheHelpIsRight(t *testing.T) {
	c := mustParse(t, nil, map[string]string{"WEBHOOK_KEY": keyA}, exampleFile)
	if len(c.Endpoints) != 1 || !slices.Equal(c.Endpoints[0].Keys, []string{keyA}) {
		t.Errorf("got endpoints %v", c.Endpoints)
	}
	var got []string
	for _, p := range c.Profiles {
		got = append(got, fmt.Sprintf("%s %s %d %v %s", p.Name, p.Path, p.MaxBytes, p.Lifetime, p.Dir))
	}
	want := []string{
		"file /files/ 68719476736 168h0m0s /var/lib/sluice/file",
		"avatar /avatars/ 4194304 24h0m0s /var/lib/sluice/avatar",
		"scan /scans/ 20000000000 0s /var/lib/sluice/scan",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRowOverridesOnlyTheColumnsThatItGives(t *testing.T) {
	c := mustParse(t, []string{"--data=/d"}, nil, `
profiles:
- name: avatar
  maxPixels: 1_000_000
  accept: []
  variants: [100, 10]
  retention: 1d12h
  keepRejected: true
  digest: sha-256
- name: file
  dir: /srv/../srv/tus
  flat: false
- {name: video, rejectUnreadable: false, keepRejected: false, digest: none}
- {name: new, path: /n/, lane: stream, dir: sub/new, accept: video/*}
`)
	want := builtIn("/d")
	want[1].KeepRejected, want[1].Digest = true, upload.SHA256
	want[2].KeepRejected, want[2].RejectUnreadable = false, false
	want[1].MaxPixels, want[1].Accept, want[1].Variants, want[1].Retention = 1e6, []string{}, []int{100, 10}, 36*time.Hour
	want[0].Dir, want[0].Flat = "/srv/tus", false
	want = append(want, upload.Profile{Name: "new", Path: "/n/", Lane: upload.Stream, Dir: "/d/sub/new", Accept: []string{"video/*"}})
	if !reflect.DeepEqual(c.Profiles, want) {
		t.Errorf("got  %+v\nwant %+v", c.Profiles, want)
	}
}

func TestEveryFieldOfAProfileIsAColumn(t *testing.T) {
	for field := range reflect.TypeFor[upload.Profile]().Fields() {
		key := strings.ToLower(field.Name[:1]) + field.Name[1:]
		if !slices.Contains(columns(), key) {
			t.Errorf("no column %q", key)
		}
	}
	for _, key := range columns() {
		f, _ := parseFile("f", []byte("profiles: [{"+key+": 1}]"))
		if _, faults := profileTable(f); strings.Contains(fmt.Sprint(faults), "unknown") {
			t.Errorf("column %q is not read", key)
		}
	}
}

func TestWrongFiles(t *testing.T) {
	tests := []struct {
		name, yaml string
		want       []string
	}{
		{"unknown keys", "lissten: :1\n\nprofiles:\n- name: avatar\n  maxbytes: 1\nconfig: x\nhelp: x\nwhat: x", []string{
			`:1: lissten: unknown key, did you mean "listen"?`, `:6: config: unknown key`, `:7: help: unknown key`, `:8: what: unknown key`,
			`:5: maxbytes: unknown key, did you mean "maxBytes"?`}},
		{"keys twice", "data: a\ndata: b\nprofiles:\n- {name: avatar, path: /a/, path: /b/}", []string{`:2: data: is given twice`, `:4: path: is given twice`}},
		{"wrong shapes", "data: [a]\nreserve:\nlisten: {a: 1}\ncors-origin: [[http://a]]\nprofiles: avatar\n1: 2", []string{
			`:2: reserve: has no value`, `:3: listen: takes one value`, `:4: cors-origin: item 1: takes one value`,
			`:5: profiles: must be a list`, `:1: data: takes one value, not a list`, `:6: 1: unknown key`}},
		{"not a mapping", "- a", []string{`:1: must be keys with values`}},
		{"key is a list", "[a]: b", []string{`:1: the key must be a word`}},
		{"not YAML", "a: b: c", []string{`sluice.yaml: yaml: `}},
		{"two documents", "data: a\n---\ndata: b", []string{`more than one YAML document`}},
		{"rows", "profiles:\n- x\n- {name: file}\n- {name: file}\n- {name: zip, disabled: true}\n- {name: , lane: 3}", []string{
			`:2: must be keys with values`, `:2: a profile without a name`, `:4: profile "file": is given twice`,
			`:5: profile "zip": cannot be disabled`, `:6: name: has no value`, `:6: a profile without a name`}},
		{"columns", "profiles:\n- name: file\n  maxBytes: 1Q\n  lifetime: 7\n  flat: maybe\n  lane:\n  variants: [x]\n  accept: [[a]]\n  maxPixels: -1", []string{
			`:3: maxBytes: "1Q" is not a size`, `:4: lifetime: "7" is not a time`, `:5: flat: "maybe" is not one of true, false`,
			`:6: lane: has no value`, `:7: variants: "x" is not a number of pixels`, `:8: accept: item 1: takes one value`,
			`:9: maxPixels: "-1" is not a whole number`, `profile "file": lane ""`}},
		{"rows' own checks", "profiles:\n- name: A/b\n  path: /\n  lane: both", []string{
			`sluice.yaml:2: profile "A/b": name must be`, `path "/" must look like`, `lane "both" is neither`}},
		{"all disabled", "profiles: [{name: file, disabled: true}, {name: avatar, disabled: true}, {name: video, disabled: true}]", []string{
			`every profile is disabled`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, nil, nil, tt.yaml)
			wantFaults(t, err, tt.want...)
		})
	}
}

func TestMissingFileIsAFault(t *testing.T) {
	_, err := parse(t, []string{"--config", filepath.Join(t.TempDir(), "none.yaml"), "--reserve=x"}, nil, "")
	wantFaults(t, err, "config file: open ", "--reserve: ")
}

func TestFilesThatSayNothing(t *testing.T) {
	for _, yaml := range []string{"# nothing\n", "---\n", "profiles: []\n", "{}"} {
		if c := mustParse(t, nil, nil, yaml); len(c.Profiles) != 3 {
			t.Errorf("%q: got %d profiles, want 3", yaml, len(c.Profiles))
		}
	}
}

func TestAnchorsAndAliases(t *testing.T) {
	c := mustParse(t, nil, nil, "data: /d\nlog-format: &j json\nprofiles:\n- {name: a, path: /a/, lane: stream, accept: &t [video/*]}\n- {name: b, path: /b/, lane: stream, accept: *t, dir: *j}\n- {name: c, path: /c/, lane: stream, dir: /y}")
	if got := c.Profiles[4]; got.Accept[0] != "video/*" || got.Dir != "/d/json" {
		t.Errorf("got %+v", got)
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(exampleFile))
	f.Add([]byte("profiles:\n- &a {name: x, variants: [1, *a]}\n- *a"))
	f.Add([]byte("? [a]\n: b\n--- \n!!binary a: ~"))
	f.Add([]byte("\xff\xfe\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, faults := parseFile("f", data)
		for _, key := range file.order {
			if file.settings[key].place == "" {
				t.Errorf("key %q has no place", key)
			}
		}
		table, more := profileTable(file)
		if len(faults)+len(more) > 0 {
			return
		}
		names := map[string]bool{}
		for _, r := range table {
			if r.Name == "" || names[r.Name] {
				t.Errorf("name %q is empty or comes twice, and no fault", r.Name)
			}
			names[r.Name] = true
		}
	})
}
