package store

import (
	"errors"
	"slices"
	"sync"
	"time"

	"sluice/internal/upload"
)

// Where a profile keeps only so many uploads of an owner, a newer one takes the place of the oldest as soon as it is ready. The newest
// is the one that was made last, whenever it was processed.

// owned knows the ready uploads of each owner, where they are counted: about 100 bytes for each. All methods may be called
// concurrently.
type owned struct {
	mu  sync.Mutex
	ids map[upload.Owner][]ownedID
}

type ownedID struct {
	id      upload.ID
	created time.Time
}

func newOwned() owned { return owned{ids: make(map[upload.Owner][]ownedID)} }

// own notes an upload that counts, and tells whether it does. Those of nobody in particular do not.
func (f *File) own(rec upload.Record) bool {
	if f.perOwner == 0 || rec.Owner == "" || rec.State != upload.Ready {
		return false
	}
	f.owned.mu.Lock()
	defer f.owned.mu.Unlock()
	known := f.owned.ids[rec.Owner]
	if !slices.ContainsFunc(known, func(o ownedID) bool { return o.id == rec.ID }) {
		f.owned.ids[rec.Owner] = append(known, ownedID{rec.ID, rec.Created})
	}
	return true
}

// tooMany takes out of owner's uploads those that are beyond the newest so many.
func (o *owned) tooMany(owner upload.Owner, keep int) []ownedID {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.ids[owner]
	if len(all) <= keep {
		return nil
	}
	slices.SortFunc(all, func(a, b ownedID) int { return b.created.Compare(a.created) })
	o.ids[owner] = slices.Clone(all[:keep])
	return slices.Clone(all[keep:])
}

// forget notes that an upload does not count any more.
func (o *owned) forget(owner upload.Owner, id upload.ID) {
	if owner == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	left := slices.DeleteFunc(o.ids[owner], func(o ownedID) bool { return o.id == id })
	o.ids[owner] = left
	if len(left) == 0 {
		delete(o.ids, owner)
	}
}

// replaceOlder has the uploads of owner expire in whose place newer ones came. What cannot be removed now is at the next start.
func (f *File) replaceOlder(owner upload.Owner) {
	for _, old := range f.owned.tooMany(owner, f.perOwner) {
		if err := f.replace(old.id); err != nil && !errors.Is(err, upload.ErrNotFound) {
			f.log.Error("an upload that was replaced stays", "profile", f.profile, "id", old.id, "err", err)
		}
	}
}

func (f *File) replace(id upload.ID) error {
	e, err := f.acquire(id)
	if err != nil {
		return err
	}
	defer f.unlockEntry(e)
	if e.rec.State != upload.Ready {
		return nil // gone by itself
	}
	return f.expire(e)
}

// replaceAll is replaceOlder for every owner: a crash may have come between a newer upload and this.
func (f *File) replaceAll() {
	f.owned.mu.Lock()
	var owners []upload.Owner
	for owner, ids := range f.owned.ids {
		if len(ids) > f.perOwner {
			owners = append(owners, owner)
		}
	}
	f.owned.mu.Unlock()
	for _, owner := range owners {
		f.replaceOlder(owner)
	}
}
