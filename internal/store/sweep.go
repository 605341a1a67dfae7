package store

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"time"

	"sluice/internal/upload"
)

const (
	// tombstoneFor is how long the record of an upload that is gone says why: clients come back after days, not months.
	tombstoneFor = 7 * 24 * time.Hour
	// orphanFor is how old a file without a record must be to be nobody's, in a directory that others may put files into. In
	// our own it is one that lay there before this process came: a crash before an announced upload was confirmed leaves it.
	orphanFor = 24 * time.Hour
)

// Sweep implements [Store]. It reads every record, without keeping any in memory, and takes the lock of an upload for what it
// removes; what is in use is left for the next time. What cannot be removed is logged, and makes it end with
// [upload.ErrNotSwept].
func (f *File) Sweep(ctx context.Context, dry bool, tell func(upload.Swept)) error {
	s := sweep{f: f, ctx: ctx, dry: dry, tell: tell, now: time.Now(), wanted: make(map[upload.ID]bool), breath: breath{alone: f.onlyLook}}
	if err := f.eachName(s.look); err != nil {
		return err
	}
	for _, id := range s.parts { // now that every final is known
		if !s.wanted[id] {
			s.upload(id)
		}
	}
	if err := ctx.Err(); err != nil || !s.failed {
		return err
	}
	return upload.ErrNotSwept
}

// sweep is one run of Sweep.
type sweep struct {
	f      *File
	ctx    context.Context // of the one call of Sweep that it is
	dry    bool
	tell   func(upload.Swept)
	now    time.Time
	failed bool
	parts  []upload.ID        // partial uploads whose time is over
	wanted map[upload.ID]bool // parts of finals that wait
	breath breath
}

// look decides what to do about one file.
func (s *sweep) look(dir, name string) error {
	base, suffix := splitName(name)
	id, err := upload.ParseID(base)
	if err != nil || !s.f.flat && fan(id) != dir {
		return s.ctx.Err() // not ours: left alone
	}
	switch {
	case suffix == infoSuffix:
		s.breath.step()
		s.record(id)
	case suffix == goneSuffix, s.f.isTemp(suffix):
		s.file(id, suffix, upload.Leftover)
	case suffix == "", slices.ContainsFunc(s.f.variants, func(v string) bool { return suffix == variantSuffix(v) }):
		if s.orphan(id, suffix) {
			s.file(id, suffix, upload.Orphan)
		}
	}
	return s.ctx.Err()
}

// record removes the upload id if its time is over. Parts wait until every final has been seen.
func (s *sweep) record(id upload.ID) {
	rec, cause, _, err := s.judge(id)
	if errors.Is(err, fs.ErrNotExist) && !s.strange(id) {
		s.file(id, infoSuffix, upload.Leftover)
	}
	if rec.Final && rec.State == upload.Receiving {
		for _, part := range rec.Parts {
			s.wanted[part] = true
		}
	}
	switch cause {
	case "":
	case upload.UnusedPart:
		s.parts = append(s.parts, id)
	default:
		s.upload(id)
	}
}

// judge tells from what is on disk whether the time of id is over, and what its files hold. A record that cannot be read is
// left to its owner, and to fsck.
func (s *sweep) judge(id upload.ID) (rec stored, cause upload.Cause, bytes int64, err error) {
	found, err := s.f.look(id)
	if err != nil {
		return rec, "", 0, err
	}
	return found.rec, s.cause(found), found.bytes, nil
}

// onDisk is an upload as it is on disk.
type onDisk struct {
	rec    stored
	size   int64     // of its content
	bytes  int64     // of all that it has
	active time.Time // when it was last changed
}

// look reads what is on disk of id.
func (f *File) look(id upload.ID) (u onDisk, err error) {
	raw, err := f.readRecord(id)
	if err == nil {
		u.rec, err = decodeRecord(id, raw)
	}
	if err != nil {
		return u, err
	}
	u.active = u.rec.Changed
	if info, err := f.fs.Stat(f.name(id, "")); err == nil {
		u.size = info.Size()
		if info.ModTime().After(u.active) {
			u.active = info.ModTime()
		}
	}
	u.bytes = u.size + int64(len(raw))
	for _, v := range u.rec.Variants {
		u.bytes += v.Bytes
	}
	return u, nil
}

// readRecord reads the record of id while nobody overwrites it.
func (f *File) readRecord(id upload.ID) ([]byte, error) {
	e := f.pin(id)
	e.mu.Lock()
	defer f.unlockEntry(e)
	return f.readInfo(id)
}

func (s *sweep) cause(u onDisk) upload.Cause {
	if u.rec.over() {
		if s.now.After(u.rec.Changed.Add(tombstoneFor)) {
			return upload.Tombstone
		}
		return ""
	}
	if u.rec.Final && u.rec.State == upload.Receiving {
		return s.finalCause(u.rec)
	}
	switch {
	case !s.over(u):
		return ""
	case u.rec.State == upload.Ready:
		return upload.Finished
	case u.unfinished():
		return upload.Unfinished
	case u.rec.Partial:
		return upload.UnusedPart
	}
	return "" // received, though no record says so yet
}

// over tells that the time of u is.
func (s *sweep) over(u onDisk) bool {
	expires := s.f.expires(u.rec.Record, u.active)
	return !expires.IsZero() && !s.now.Before(expires)
}

func (u onDisk) unfinished() bool {
	return u.rec.Length == upload.Deferred || u.rec.counted(u.size) < u.rec.Length
}

// finalCause tells whether a final waits in vain: for a part that is none, that is gone, or that goes unfinished. One that
// cannot be read may come back.
func (s *sweep) finalCause(rec stored) upload.Cause {
	for _, id := range rec.Parts {
		part, err := s.f.look(id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return upload.Unfinished
		case err != nil:
			continue
		case !part.rec.Partial || part.rec.emptied() || part.unfinished() && s.over(part):
			return upload.Unfinished
		}
	}
	if len(rec.Parts) == 0 {
		return upload.Unfinished
	}
	return ""
}

// upload removes id, or says that it would, unless somebody uses it, or its time is not over after all.
func (s *sweep) upload(id upload.ID) {
	unlock, free := s.f.TryLock(id)
	if !free {
		return
	}
	defer unlock()
	rec, cause, bytes, _ := s.judge(id)
	if cause == "" || cause == upload.UnusedPart && len(s.f.Finals(id)) > 0 {
		return
	}
	if !s.dry {
		if err := s.f.giveUp(rec.Record, cause); err != nil {
			s.fail(string(id), cause, err)
			return
		}
	}
	s.swept(upload.Swept{Profile: s.f.profile, ID: id, Cause: cause, Bytes: bytes})
}

// giveUp does what cause says to an upload whose lock is held.
func (f *File) giveUp(rec upload.Record, cause upload.Cause) error {
	if cause == upload.Tombstone {
		return f.Terminate(rec.ID)
	}
	if rec.Final && cause == upload.Unfinished {
		_, err := f.Reject(rec.ID, errPartsMissing())
		return err
	}
	e, err := f.acquire(rec.ID)
	if err != nil {
		return err
	}
	defer f.unlockEntry(e)
	return f.expire(e)
}

// ownNames are ids as Sluice and tusd make them. In a directory that anybody may have put files into, no other name is taken for
// an upload's without a record.
var ownNames = regexp.MustCompile(`^[0-9a-f]{32}$`)

// strange tells a name that is not taken for an upload's by itself.
func (s *sweep) strange(id upload.ID) bool { return s.f.flat && !ownNames.MatchString(string(id)) }

// orphan tells that a file of id has no record, and has had none for long.
func (s *sweep) orphan(id upload.ID, suffix string) bool {
	if s.strange(id) {
		return false
	}
	for _, record := range []string{infoSuffix, goneSuffix} {
		if _, err := s.f.fs.Stat(s.f.name(id, record)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	info, err := s.f.fs.Stat(s.f.name(id, suffix))
	if err != nil {
		return false
	}
	if s.f.flat {
		return s.now.After(info.ModTime().Add(orphanFor))
	}
	return info.ModTime().Before(s.f.opened)
}

// file removes a file that belongs to nothing, or says that it would. Whoever makes such files holds the upload's lock, or its
// entry.
func (s *sweep) file(id upload.ID, suffix string, cause upload.Cause) {
	unlock, free := s.f.TryLock(id)
	if !free {
		return
	}
	defer unlock()
	e := s.f.pin(id)
	e.mu.Lock()
	defer s.f.unlockEntry(e)
	name := s.f.name(id, suffix)
	info, err := s.f.fs.Stat(name)
	if err != nil || cause == upload.Orphan && !s.orphan(id, suffix) {
		return // gone, or somebody's, meanwhile
	}
	bytes := info.Size()
	if suffix == infoSuffix && bytes > 0 {
		return // it is a record, meanwhile
	}
	if suffix == goneSuffix {
		bytes += s.contentOf(id)
	}
	if !s.dry {
		if suffix == goneSuffix {
			err = s.f.goOnRemoving(id)
		} else {
			err = s.f.fs.Remove(name)
		}
	}
	if err != nil {
		s.fail(path.Base(name), cause, err)
		return
	}
	s.swept(upload.Swept{Profile: s.f.profile, ID: id, Cause: cause, Bytes: bytes})
}

// contentOf is what the content and the variants of an upload hold that is half removed.
func (s *sweep) contentOf(id upload.ID) (bytes int64) {
	if _, err := s.f.fs.Stat(s.f.name(id, infoSuffix)); err == nil {
		return 0 // it stays
	}
	for _, suffix := range append([]string{""}, s.f.variantSuffixes()...) {
		if info, err := s.f.fs.Stat(s.f.name(id, suffix)); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

func (s *sweep) fail(what string, cause upload.Cause, err error) {
	s.failed = true
	s.f.log.Error("sweep", "profile", s.f.profile, "file", what, "cause", string(cause), "err", err)
}

func (s *sweep) swept(one upload.Swept) {
	if !s.dry {
		s.f.metrics.swept.WithLabelValues(s.f.profile, string(one.Cause)).Inc()
		s.f.metrics.sweptBytes.WithLabelValues(s.f.profile).Add(float64(one.Bytes))
	}
	s.tell(one)
}
