package store

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/internal/upload"
)

// A record is stored as tusd stores its own, <id>.info in JSON, with what Sluice adds under one more key. So a directory
// can be handed from tusd to Sluice and back. Keys that neither knows are kept as they are.

// tusdInfo is the part that tusd reads and writes. Its Offset is never true in tusd's own files (the file's length is);
// Sluice leaves it 0 likewise.
type tusdInfo struct {
	ID             string
	Size           int64
	SizeIsDeferred bool
	Offset         int64
	MetaData       map[string]string
	IsPartial      bool
	IsFinal        bool
	PartialUploads []string
}

// sluiceInfo is the part that tusd ignores.
type sluiceInfo struct {
	Profile   string            `json:"profile"`
	Owner     upload.Owner      `json:"owner,omitempty"`
	Metadata  string            `json:"metadata,omitempty"` // as sent: tusd's map forgets order and odd pairs
	State     upload.State      `json:"state"`
	Reason    *upload.Rejection `json:"reason,omitempty"`
	MediaType string            `json:"mediaType,omitempty"`
	Variants  []upload.Variant  `json:"variants,omitempty"`
	Video     *upload.Video     `json:"video,omitempty"`
	Digest    string            `json:"digest,omitempty"`
	Created   string            `json:"created,omitempty"` // as RFC 3339 writes it, and by ourselves: to encode a time.Time takes longer
	Changed   string            `json:"changed,omitempty"` // likewise
	Synced    int64             `json:"synced"`            // bytes known to survive a power cut when the record was written
	Tries     int               `json:"tries,omitempty"`
	Damaged   bool              `json:"damaged,omitempty"`
	Checked   *int64            `json:"checked,omitempty"`  // bytes above are not checked yet and do not count; absent: all do
	Concat    string            `json:"concat,omitempty"`   // Upload-Concat as sent
	JoinedIn  upload.ID         `json:"joinedIn,omitempty"` // the final that took the bytes over
	Kept      bool              `json:"kept,omitempty"`     // it is rejected, and its bytes are there for an operator
}

const sluiceKey = "Sluice"

// stored is a record with what only the store needs to know.
type stored struct {
	upload.Record
	synced  int64
	kept    bool                       // as in the file
	checked *int64                     // as in the file; what it points to is never changed
	unknown map[string]json.RawMessage // keys of the file that are neither tusd's nor ours
	tusd    tusdInfo                   // as read: parts whose ids Sluice does not take are carried along
}

// counted is how many of size stored bytes count.
func (s stored) counted(size int64) int64 {
	if s.Length != upload.Deferred {
		size = min(size, s.Length)
	}
	if s.checked != nil {
		size = min(size, *s.checked)
	}
	return size
}

// over tells that nobody is served the upload's bytes any more: they are removed, went into a final, or are an operator's.
func (s stored) over() bool { return s.State.Gone() || s.JoinedIn != "" }

// emptied tells that the upload's bytes are removed, or went into a final.
func (s stored) emptied() bool { return s.over() && !s.kept }

// judged tells that the judge has nothing to say about the upload any more. One that was found full has no type yet.
func (s stored) judged() bool {
	return s.State.Complete() && (s.State != upload.Received || s.MediaType != "")
}

// goBack makes an upload one that is received again from kept on, marked as damaged. A final whose parts are gone becomes an
// upload like any other: nothing else can bring back what it lost.
func (s *stored) goBack(kept int64, partsThere bool) {
	s.Damaged, s.State, s.Variants, s.Video, s.Digest, s.synced = true, upload.Receiving, nil, nil, "", min(kept, s.synced)
	if s.Final && !partsThere {
		s.Final, s.Parts, s.Concat, s.tusd.PartialUploads = false, nil, "", nil
	}
}

// ofParts tells a final that Sluice puts together: until the record says so, its file may be anything. tusd writes its finals
// at once, and keeps no header.
func (s stored) ofParts() bool { return s.Final && s.Concat != "" }

func (s stored) encode() ([]byte, error) {
	info := s.tusd
	info.ID, info.Size, info.SizeIsDeferred = string(s.ID), max(s.Length, 0), s.Length == upload.Deferred
	info.IsPartial, info.IsFinal = s.Partial, s.Final
	if s.Parts != nil {
		info.PartialUploads = idTexts(s.Parts)
	}
	if meta, err := upload.ParseMetadata(s.Metadata); err == nil { // else tusd's map is the better view of it
		info.MetaData = meta // the header itself is kept below
	}
	ours := sluiceInfo{
		Profile: s.Profile, Owner: s.Owner, Metadata: s.Metadata, State: s.State, Reason: s.Reason, MediaType: s.MediaType,
		Variants: s.Variants, Video: s.Video, Created: stamp(s.Created), Changed: stamp(s.Changed), Synced: s.synced, Tries: s.Tries, Damaged: s.Damaged, Checked: s.checked,
		Concat: s.Concat, JoinedIn: s.JoinedIn, Digest: s.Digest, Kept: s.kept,
	}
	if len(s.unknown) == 0 {
		return json.Marshal(struct {
			tusdInfo
			Sluice sluiceInfo
		}{info, ours})
	}
	fields := maps.Clone(s.unknown)
	if err := mergeFields(fields, info); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(ours)
	if err != nil {
		return nil, err
	}
	fields[sluiceKey] = raw
	return json.Marshal(fields)
}

// mergeFields sets in fields what v encodes to.
func mergeFields(fields map[string]json.RawMessage, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, &fields)
}

// decodeRecord reads a record of the upload id. Offset is left 0 for receiving uploads: only the bytes can tell. Whatever is
// wrong with the record is [upload.ErrUnreadable].
func decodeRecord(id upload.ID, raw []byte) (stored, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return stored{}, fmt.Errorf("%w: %w", upload.ErrUnreadable, err)
	}
	info, ours, err := takeKnown(fields)
	if err != nil {
		return stored{}, fmt.Errorf("%w: %w", upload.ErrUnreadable, err)
	}
	if info.ID != string(id) || info.Size < 0 {
		return stored{}, fmt.Errorf("%w: it is not the record of upload %s", upload.ErrUnreadable, id)
	}
	s := stored{tusd: info, unknown: fields}
	s.ID, s.Length, s.State = id, info.Size, upload.Receiving
	s.Partial, s.Final, s.Parts = info.IsPartial, info.IsFinal, parseIDs(info.PartialUploads)
	if info.SizeIsDeferred {
		s.Length = upload.Deferred
	}
	if ours == nil {
		s.Metadata = encodeMetadata(info.MetaData)
		return s, nil
	}
	return s, s.decodeOurs(ours)
}

// takeKnown takes tusd's part and ours out of fields. A name that differs from one of these only by case is dropped: readers
// of JSON would not agree on which of the two counts.
func takeKnown(fields map[string]json.RawMessage) (info tusdInfo, ours json.RawMessage, err error) {
	names := []string{sluiceKey, "ID", "Size", "SizeIsDeferred", "Offset", "MetaData", "IsPartial", "IsFinal", "PartialUploads"}
	known := make(map[string]json.RawMessage, len(names))
	for key, raw := range fields {
		i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, key) })
		if i < 0 {
			continue
		}
		delete(fields, key)
		if names[i] == key {
			known[key] = raw
		}
	}
	ours = known[sluiceKey]
	raw, err := json.Marshal(known)
	if err != nil {
		return info, nil, err
	}
	return info, ours, json.Unmarshal(raw, &info)
}

func (s *stored) decodeOurs(raw []byte) error {
	var ours sluiceInfo
	if err := json.Unmarshal(raw, &ours); err != nil {
		return fmt.Errorf("%w: %w", upload.ErrUnreadable, err)
	}
	switch ours.State {
	case upload.Receiving, upload.Received, upload.Ready, upload.Rejected, upload.Expired:
	default:
		return fmt.Errorf("%w: unknown state", upload.ErrUnreadable)
	}
	s.Profile, s.Owner, s.Metadata, s.State, s.Reason = ours.Profile, ours.Owner, ours.Metadata, ours.State, ours.Reason
	s.MediaType, s.Variants, s.Video = ours.MediaType, ours.Variants, ours.Video
	s.synced, s.Tries, s.Damaged, s.checked = ours.Synced, ours.Tries, ours.Damaged, ours.Checked
	s.Concat, s.JoinedIn, s.Digest, s.kept = ours.Concat, ours.JoinedIn, ours.Digest, ours.Kept && ours.State == upload.Rejected
	var badCreated, badChanged error
	s.Created, badCreated = parseStamp(ours.Created)
	s.Changed, badChanged = parseStamp(ours.Changed)
	if err := errors.Join(badCreated, badChanged); err != nil {
		return fmt.Errorf("%w: %w", upload.ErrUnreadable, err)
	}
	settled := s.State == upload.Received || s.State == upload.Ready
	if settled {
		s.Offset = s.Length
	}
	if s.synced < 0 || s.checked != nil && *s.checked < 0 || settled && s.Length == upload.Deferred {
		return fmt.Errorf("%w: its lengths make no sense", upload.ErrUnreadable)
	}
	for _, v := range s.Variants {
		if _, err := upload.ParseID(v.Name); err != nil { // it becomes part of a file's name
			return fmt.Errorf("%w: odd name of a variant", upload.ErrUnreadable)
		}
	}
	return nil
}

// stamp is t in the record, "" if it is the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func parseStamp(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

// parseIDs returns nil if one of texts is no id: such parts cannot be looked for.
func parseIDs(texts []string) []upload.ID {
	var ids []upload.ID
	for _, text := range texts {
		id, err := upload.ParseID(text)
		if err != nil {
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

func idTexts(ids []upload.ID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return texts
}

// encodeMetadata makes the header that says what tusd's map says, in a fixed order.
func encodeMetadata(meta map[string]string) string {
	pairs := make([]string, 0, len(meta))
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		pair := key
		if meta[key] != "" {
			pair += " " + base64.StdEncoding.EncodeToString([]byte(meta[key]))
		}
		pairs = append(pairs, pair)
	}
	return strings.Join(pairs, ",")
}
