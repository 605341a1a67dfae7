// Package store keeps uploads: their bytes, at their offsets, and a record of each. [Open] gives a [File], which keeps those
// of one profile in one directory.
//
// It does not know HTTP or tus, does not authorise anybody, and does not look into content: what the first bytes mean is
// for the judge that it is given.
//
// # Durability
//
// A byte is acknowledged when any answer or event has reported an offset above it.
//
//   - Durable (always): acknowledged bytes and records survive a power cut. At most 32 MiB of an upload are ever unsynced,
//     which bounds how long its lock is held for the final sync.
//   - Not durable (none): they survive the death of the process. After a power cut an upload's offset falls back to what is
//     provably there.
//
// In both, every byte under the offset is right: nothing is counted before it is written at its place, and the length of a
// file is trusted as an offset only within the boot that wrote it (see recover.go).
//
// # Order of writing
//
// A record is written before anybody hears of an upload, and removed last, so no bytes lie about that somebody knows of. A state is
// on disk before anybody is told, and so is its event. The content of a ready upload never changes. A durable store has records, and what
// becomes durable with them, in a [durable.Journal]: whatever changes or removes such a file goes through that. Only content that its
// record says is over may be removed beside it.
//
// # Locks
//
// Writing ([File.WriteChunk], [File.DeclareLength], [File.Complete], [File.Terminate]) is for the holder of the upload's
// lock, see [Locks]. Everything else needs none.
package store

import (
	"context"
	"io"
	"log/slog"
	"time"

	"sluice/internal/upload"
)

// Store is the contract that every backend keeps; storetest holds it to it. All methods may be called concurrently, within
// the rule on locks above. An unknown id is [upload.ErrNotFound] everywhere; a record that cannot be read is
// [upload.ErrUnreadable] everywhere but in Terminate.
type Store interface {
	// Create makes a new upload in state receiving. rec.ID must be new, else [upload.ErrExists]. When it returns nil the
	// upload is as durable as the store; when it fails nothing is left. No room for rec.Length is
	// [upload.ErrInsufficientStorage].
	Create(rec upload.Record) error

	// Announce is Create for an upload whose first bytes come at once, before anybody hears of it. Its record is written with
	// the first change of its state, or by Confirm: a crash before leaves nothing but bytes that nobody was told of.
	Announce(rec upload.Record) error

	// Confirm writes the record of an announced upload, if that is not done. Only then may its id be told.
	Confirm(id upload.ID) error

	// Lookup tells what is known about an upload now. The offset is the acknowledged one: while a chunk flows it may lag.
	Lookup(id upload.ID) (upload.Record, error)

	// Lock waits until the caller alone may write to the upload, which need not exist. See [Locks.Lock].
	Lock(ctx context.Context, id upload.ID, interrupt func()) (unlock func(), err error)

	// WriteChunk adds the bytes of src at off until src ends. It returns how many of them count: they are stored, and
	// synced where the store is durable. off must be the upload's offset, else [upload.ErrOffsetMismatch] with nothing
	// changed. An error of src, other than io.EOF, comes back after what arrived before it has been stored. With
	// [upload.ErrTooLarge] (more bytes than the length allows, or src says so) the whole chunk is taken back: n is 0.
	// An [upload.Rejection] by the judge also removes all bytes and settles the upload as rejected. With [upload.Check.Whole] the
	// upload may be complete afterwards, as by Complete.
	//
	// check has the last word: see [upload.Check]. A chunk that it does not pass is taken back as above, and so is one whose
	// verdict was announced and never came, because src failed or the process died.
	WriteChunk(id upload.ID, off int64, src io.Reader, check upload.Check) (n int64, err error)

	// DeclareLength sets the length of an upload that was made without one. It is an error to change a known length.
	DeclareLength(id upload.ID, length int64) error

	// Complete moves an upload whose bytes are all there to received, or to ready where nothing is left to be done. Calling it
	// again is no error.
	Complete(id upload.ID) (upload.Record, error)

	// Terminate removes an upload and all that belongs to it, also one whose record cannot be read. Once it has begun,
	// the upload is not found any more, whatever fails.
	Terminate(id upload.ID) error

	// Open opens the content of a received or ready upload for reading: [upload.ErrNotReady] before, [upload.ErrGone] for
	// a rejected one. Any number of readers at once.
	Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error)

	// OpenVariant opens one of a ready upload's variants; [upload.ErrNotFound] if it has none of that name.
	OpenVariant(id upload.ID, name string) (io.ReadSeekCloser, upload.Record, error)

	// Publish moves a received upload to ready, with what processing made of it. A reader sees none of it or all of it. A
	// ready upload is left alone, and so is a digest that is known.
	Publish(id upload.ID, outcome upload.Outcome) (upload.Record, error)

	// Reject settles an upload as rejected and removes its bytes, or keeps those of a received one, see [Options]; its offset
	// is 0 then, and they are nobody's to open. A chunk that flows meanwhile ends with [upload.ErrGone]. A rejected upload keeps its first reason; a ready one cannot be rejected.
	Reject(id upload.ID, why *upload.Rejection) (upload.Record, error)

	// Tried records how often processing of a received upload was begun anew. In any other state it is [upload.ErrNotReady].
	Tried(id upload.ID, tries int) (upload.Record, error)

	// Revive moves an upload that was rejected as [upload.CodeNotProcessed] back to received; any other is
	// [upload.ErrNotReady].
	Revive(id upload.ID) (upload.Record, error)

	// Assemble moves a final upload to received when all its parts are: their bytes are copied, in order, by the kernel
	// where it can. The bytes of the parts then go, unless the store keeps them or another final waits for them. While a part is
	// unfinished it is [upload.ErrNotReady]; if one is gone, or the whole is too large, or its head does not please the
	// judge, the upload is settled as rejected and the [upload.Rejection] returned. It takes the upload's lock, and lets go with
	// [upload.ErrInterrupted] when somebody wants it. Calling it again, also after a crash, goes on.
	Assemble(ctx context.Context, id upload.ID) (upload.Record, error)

	// Finals returns the finals that wait for the upload part, in no order.
	Finals(part upload.ID) []upload.ID

	// Due calls do for every upload that is received and neither ready nor rejected, and for every final that is not
	// assembled, until do returns false. It is how processing that a crash cut short is found again: an upload whose last
	// byte was stored before a crash is received.
	Due(ctx context.Context, do func(upload.Record) bool) error

	// Sweep removes what is over, without disturbing anybody: see [upload.Swept]. It tells of each thing, and if dry it does no more
	// than that.
	Sweep(ctx context.Context, dry bool, tell func(upload.Swept)) error

	// Check tells whether the store can take bytes now: nil, or why not.
	Check() error
}

// Judge looks at the first min(length, [upload.HeadBytes]) bytes of an upload. It returns the media type by content, or an
// [upload.Rejection].
type Judge func(head []byte) (mediaType string, err error)

// Options say what to open.
type Options struct {
	Dir      string   // made if missing
	Profile  string   // its name, for records, metrics and logs
	Flat     bool     // tusd's layout: <id> and <id>.info side by side in Dir; else in a subdirectory by the id's first letters
	Variants []string // names that variants of this profile may have
	Durable  bool     // acknowledged bytes survive a power cut
	Reserve  int64    // bytes of disk that are never promised to an upload
	MaxBytes int64    // of a final upload; 0 is no limit
	// Lifetime is how long an unfinished upload, or one that waits to become part of another, is kept after its last byte; 0
	// is for ever.
	Lifetime time.Duration
	// Retention is how long a ready upload is kept; 0 is for ever.
	Retention time.Duration
	// PerOwner is how many ready uploads of one owner are kept, the newest; 0 is all.
	PerOwner int
	// Direct tells that a complete upload of that media type is ready: it is not processed. nil: all are.
	Direct    func(mediaType string) bool
	KeepParts bool      // uploads that were joined stay, as long as unfinished ones do
	Promises  *Promises // shared by the stores of a process; nil: this one's own
	Judge     Judge     // nil: content is not looked at while it arrives
	Record    Recorder  // nil: nobody has to be told of anything
	Metrics   *Metrics
	Logger    *slog.Logger

	// KeepRejected keeps the bytes of what is rejected when it is received, as long as its record; nobody is served them.
	KeepRejected bool
	// Digest is the algorithm of the digest of uploads, [upload.SHA256], or "". A complete upload has it from the start if all
	// bytes came to one process; else it is left to who processes it, whatever Direct says.
	Digest string
}
