package events

import (
	"encoding/json"
	"time"

	"sluice/internal/upload"
)

// messageVersion is that of [Message]. Keys may be added without changing it.
const messageVersion = 1

// Message is what endpoints are sent in the standard format, and listeners without the path. Its type, timestamp and data
// are where Standard Webhooks wants them.
type Message struct {
	Type      upload.EventType `json:"type"`
	Timestamp time.Time        `json:"timestamp"`    // of the change of state
	Version   int              `json:"version"`      // of this form: 1
	ID        string           `json:"id,omitempty"` // as in webhook-id: the same for the same change, so duplicates can be told
	Data      Data             `json:"data"`
}

// Data is an upload as it was when the event was made.
type Data struct {
	ID        upload.ID         `json:"id,omitempty"`
	Profile   string            `json:"profile"`
	Owner     upload.Owner      `json:"owner,omitempty"`
	State     upload.State      `json:"state"`
	Reason    *upload.Rejection `json:"reason,omitempty"`    // of a rejected one
	Size      *int64            `json:"size"`                // bytes; null while the client has not said
	Offset    int64             `json:"offset"`              // bytes that are stored
	MediaType string            `json:"mediaType,omitempty"` // by content
	Digest    string            `json:"digest,omitempty"`    // as in Repr-Digest (RFC 9530)
	Metadata  map[string]string `json:"metadata,omitempty"`  // decoded Upload-Metadata; bytes that are not UTF-8 are replaced
	Variants  []upload.Variant  `json:"variants,omitempty"`  // each at url/name
	URL       string            `json:"url,omitempty"`       // of the content, to be read once the upload is ready
	Path      string            `json:"path,omitempty"`      // of the content, under the data directory
	Created   time.Time         `json:"created,omitzero"`
	Expires   time.Time         `json:"expires,omitzero"`
	Partial   bool              `json:"partial,omitempty"` // it exists to become part of another
	Final     bool              `json:"final,omitempty"`   // it is made of others
	Parts     []upload.ID       `json:"parts,omitempty"`   // these, in order
}

func newMessage(e upload.Event, url, path func(upload.Record) string) Message {
	rec := e.Record
	meta, _ := upload.ParseMetadata(rec.Metadata) // a malformed one was refused when the upload was made
	m := Message{Type: e.Type, Timestamp: e.Time, Version: messageVersion, ID: e.ID(), Data: Data{
		ID: rec.ID, Profile: rec.Profile, Owner: rec.Owner, State: rec.State, Reason: rec.Reason, Offset: rec.Offset,
		MediaType: rec.MediaType, Digest: rec.Digest, Metadata: meta, Variants: rec.Variants, Created: rec.Created,
		Expires: rec.Expires, Partial: rec.Partial, Final: rec.Final, Parts: rec.Parts,
	}}
	if rec.Length != upload.Deferred {
		m.Data.Size = &rec.Length
	}
	if url != nil {
		m.Data.URL = url(rec)
	}
	if path != nil {
		m.Data.Path = path(rec)
	}
	return m
}

// upload names the upload among those of all profiles.
func (m Message) upload() string { return m.Data.Profile + "/" + string(m.Data.ID) }

// hook is the tusd hook that tells the same, "" if none does. A back end takes the file on post-finish, so that is told
// when the content may be read; and on post-terminate it forgets the upload, whatever removed it. tusd's post-receive,
// which tells progress, is not sent.
func (m Message) hook() string {
	switch m.Type {
	case upload.EventCreated:
		return "post-create"
	case upload.EventReady:
		return "post-finish"
	case upload.EventReceived:
		if m.Data.Partial { // which will never be ready
			return "post-finish"
		}
	case upload.EventRejected, upload.EventExpired, upload.EventTerminated:
		return "post-terminate"
	}
	return ""
}

// hookBody is the body of tusd v2's HTTP hooks (pkg/hooks HookRequest). The request is an empty one: by the time of the
// delivery it is long over.
type hookBody struct {
	Type  string
	Event struct {
		Upload      hookUpload
		HTTPRequest struct {
			Method, URI, RemoteAddr string
			Header                  map[string][]string
		}
	}
}

type hookUpload struct {
	ID             string
	Size           int64
	SizeIsDeferred bool
	Offset         int64
	MetaData       map[string]string
	IsPartial      bool
	IsFinal        bool
	PartialUploads []upload.ID
	Storage        map[string]string
}

// hookJSON is the message in tusd's words.
func (m Message) hookJSON() ([]byte, error) {
	b := hookBody{Type: m.hook()}
	b.Event.HTTPRequest.Header = map[string][]string{}
	b.Event.Upload = hookUpload{
		ID: string(m.Data.ID), SizeIsDeferred: m.Data.Size == nil, Offset: m.Data.Offset, MetaData: m.Data.Metadata,
		IsPartial: m.Data.Partial, IsFinal: m.Data.Final, PartialUploads: m.Data.Parts,
		Storage: map[string]string{"Type": "filestore", "Path": m.Data.Path, "InfoPath": m.Data.Path + ".info"},
	}
	if m.Data.Size != nil {
		b.Event.Upload.Size = *m.Data.Size
	}
	return json.Marshal(b)
}
