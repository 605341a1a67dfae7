package upload

import (
	"errors"
	"fmt"
)

// The errors that somebody acts on. Everything else is an internal error to whoever is told.
var (
	// ErrNotFound: no such upload, or none that the caller may know of.
	ErrNotFound = errors.New("upload not found")
	// ErrGone: there was such an upload; it was rejected or terminated.
	ErrGone = errors.New("upload is gone")
	// ErrExpired: there was such an upload; its time is over.
	ErrExpired = fmt.Errorf("it expired: %w", ErrGone)
	// ErrExists: an upload of that id is there already.
	ErrExists = errors.New("upload exists already")
	// ErrLocked: somebody else holds the upload and did not let go in time.
	ErrLocked = errors.New("upload is locked")
	// ErrInterrupted: a newer request took the upload over; what had arrived is kept.
	ErrInterrupted = errors.New("upload was taken over by a newer request")
	// ErrShutdown: the server stops; what had arrived is kept.
	ErrShutdown = errors.New("server is shutting down")
	// ErrOffsetMismatch: the chunk does not begin where the upload ends.
	ErrOffsetMismatch = errors.New("offset does not match")
	// ErrTooLarge: more bytes than the upload, or its profile, allows.
	ErrTooLarge = errors.New("upload is too large")
	// ErrChecksumMismatch: the chunk is not what its checksum says; none of it is kept.
	ErrChecksumMismatch = errors.New("checksum does not match")
	// ErrNotReady: the content cannot be read yet.
	ErrNotReady = errors.New("upload is not ready")
	// ErrComplete: nothing can be added to a complete upload.
	ErrComplete = errors.New("upload is complete")
	// ErrFinal: the upload is made of others; nothing can be added to it.
	ErrFinal = errors.New("upload is made of others")
	// ErrInsufficientStorage: no room on the disk, or none left to promise.
	ErrInsufficientStorage = errors.New("insufficient storage")
	// ErrUnreadable: the stored record of this upload is torn; it can only be deleted.
	ErrUnreadable = errors.New("stored record is unreadable")
	// ErrNoEndpoint: events are delivered to no endpoint of that name.
	ErrNoEndpoint = errors.New("no such endpoint")
	// ErrBadMetadata: Upload-Metadata breaks the protocol's rules.
	ErrBadMetadata = errors.New("malformed metadata")
)

// Rejection is the verdict on content that is not taken: an answer to the client, not a failure of the server. It is an
// error so that whoever judges can return it.
type Rejection struct {
	Code    string `json:"code"`    // stable, for programs: one of the Code constants
	Message string `json:"message"` // one sentence, for the person who uploaded
}

// The codes of a [Rejection].
const (
	CodeUnsupportedType = "unsupported_media_type" // the content is not of a type that the profile takes
	CodeTooManyPixels   = "too_many_pixels"        // a picture larger than the profile allows
	CodePartsMissing    = "parts_missing"          // an upload to be joined is gone before all were complete
	CodeTooLarge        = "too_large"              // uploads that are longer together than the profile allows
	CodeUnreadableImage = "unreadable_image"       // a picture of a right type that cannot be decoded
	CodeNotProcessed    = "not_processed"          // processing failed again and again, by no fault of the content; it can be revived
	CodeUnreadableVideo = "unreadable_video"       // a video of a right type that nothing can play
)

func (r *Rejection) Error() string { return fmt.Sprintf("rejected: %s: %s", r.Code, r.Message) }

// Reject makes a [Rejection]; format and args make the sentence for a person.
func Reject(code, format string, args ...any) *Rejection {
	return &Rejection{Code: code, Message: fmt.Sprintf(format, args...)}
}
