package store

import (
	"errors"
	"fmt"
	"slices"

	"sluice/internal/upload"
)

// recordInvariants are those of an upload whose record is understood.
func recordInvariants() []invariant[*examined] {
	return []invariant[*examined]{
		{"a record names the profile in whose directory it lies", profileIsRight},
		{"the content can be read and written", contentCanBeOpened},
		{"a complete upload has its file", contentIsThere},
		{"acknowledged bytes are there, and a complete upload is as long as its length", bytesAreThere},
		{"bytes that were checked are there", checkedBytesAreThere},
		{"no byte lies above those that count", noTail},
		{"an upload that is rejected, expired or joined has no bytes", nothingOfTheGone},
		{"a variant that the record names is there, and as long as it says", variantsAreThere},
		{"a variant that is there is named by the record, or about to be", noOtherVariant},
		{"the parts for which a final waits are there", partsAreThere},
		{"a final is as long as its parts", finalIsAsLongAsItsParts},
		{"what a part was joined in has it as a part", joinedInItsFinal},
	}
}

func profileIsRight(x *examined) []finding {
	profile := x.c.f.profile
	if x.rec.Profile == "" || x.rec.Profile == profile { // tusd's name none
		return nil
	}
	problem, remedy := fmt.Sprintf("the record names the profile %q", x.rec.Profile), "it is made to name that of its directory"
	return x.at(infoSuffix, problem, remedy, func() error { return x.alter(func(rec *stored) { rec.Profile = profile }) })
}

func contentCanBeOpened(x *examined) []finding {
	if x.unopened == nil {
		return nil
	}
	return x.at("", fmt.Sprintf("the content cannot be opened: %v", x.unopened), "see to its permissions, or to the disk", nil)
}

// acknowledged is up to where bytes were certainly told to be safe.
func (x *examined) acknowledged() int64 { return max(x.rec.synced, x.rec.Offset) }

// contentIsThere is about uploads of no bytes. The file of any other is made with the first of them, and missed with them.
func contentIsThere(x *examined) []finding {
	if !x.measured || x.any("") || x.acknowledged() > 0 || !x.rec.State.Complete() {
		return nil
	}
	return x.at("", "the file is missing", "an empty one is made", func() error { return x.cut(0) })
}

// waits tells a final that is not put together: until it is, its file may be anything.
func (x *examined) waits() bool {
	return x.rec.Final && x.rec.State == upload.Receiving && (x.rec.ofParts() || x.rec.counted(x.size) != x.rec.Length)
}

func bytesAreThere(x *examined) []finding {
	if !x.measured || x.waits() || x.kept >= x.acknowledged() && x.kept >= x.rec.counted(x.size) {
		return nil
	}
	problem, hole := x.missing()
	switch {
	case hole && !x.c.powerCut && x.rec.State.Complete():
		return x.at("", problem, "in a copy that makes holes of zeros it is right; else restore or delete it", nil)
	case x.kept < x.acknowledged() || !x.c.powerCut:
		remedy := fmt.Sprintf("it goes back to receiving at %d, marked as damaged", x.kept)
		return x.at("", problem, remedy, func() error { return x.goBack(true) })
	}
	return leftovers(x.at("", problem, fmt.Sprintf("it is cut at %d", x.kept), func() error { return x.goBack(false) }))
}

// missing tells which bytes are not there, and whether all that speaks against them is a hole.
func (x *examined) missing() (problem string, hole bool) {
	known := x.acknowledged()
	switch {
	case !x.any(""):
		return fmt.Sprintf("the file is missing, %d bytes were acknowledged", known), false
	case x.size < known:
		return fmt.Sprintf("the file ends at %d, %d bytes were acknowledged", x.size, known), false
	case x.c.blind:
		return fmt.Sprintf("after a power cut %d of %d bytes are provable", x.kept, x.size), false
	}
	return fmt.Sprintf("the bytes from %d on were never written, the file ends at %d", x.kept, x.size), true
}

// checkedBytesAreThere holds for a durable store: another may lose what was checked in a power cut.
func checkedBytesAreThere(x *examined) []finding {
	if !x.measured || !x.c.f.durable || x.rec.checked == nil || *x.rec.checked <= x.size {
		return nil
	}
	problem, size := fmt.Sprintf("the file ends at %d, %d bytes were checked", x.size, *x.rec.checked), x.size
	return x.at("", problem, "the record is made to say so", func() error {
		return x.alter(func(rec *stored) { rec.checked = &size })
	})
}

func noTail(x *examined) []finding {
	if !x.measured || x.rec.ofParts() && x.waits() {
		return nil
	}
	counted := x.rec.counted(x.size)
	if counted == x.size {
		return nil
	}
	problem := fmt.Sprintf("above byte %d lie %d that nobody acknowledged", counted, x.size-counted)
	all := x.at("", problem, "they are cut off", func() error { return x.cut(counted) })
	if x.rec.State == upload.Receiving {
		return leftovers(all)
	}
	return all
}

func nothingOfTheGone(x *examined) []finding {
	contents := x.contents()
	if !x.rec.emptied() || len(contents) == 0 {
		return nil
	}
	problem := fmt.Sprintf("it has bytes though it is %s", x.rec.State)
	if x.rec.JoinedIn != "" {
		problem = fmt.Sprintf("it has bytes though it was joined in %q", x.rec.JoinedIn)
	}
	return leftovers(x.at(contents[0], problem, "they are removed", func() error { return x.remove(contents...) }))
}

func variantsAreThere(x *examined) (all []finding) {
	for _, v := range x.rec.Variants {
		suffix, problem := variantSuffix(v.Name), "the variant is missing"
		if x.plain(suffix) {
			info, err := x.c.f.fs.Stat(x.file(suffix))
			if err == nil && info.Size() == v.Bytes {
				continue
			}
			problem = fmt.Sprintf("the variant does not have its %d bytes", v.Bytes)
		} else if x.any(suffix) {
			continue // not plain
		}
		all = append(all, x.at(suffix, problem, "the next start makes the variants anew", func() error {
			return x.alter(func(rec *stored) { rec.State, rec.Variants = upload.Received, nil })
		})...)
	}
	return all
}

// noOtherVariant says nothing about an upload that is received: variants are written before the record names them.
func noOtherVariant(x *examined) (all []finding) {
	if x.rec.emptied() || x.rec.State == upload.Received {
		return nil
	}
	for _, suffix := range x.contents() {
		named := slices.ContainsFunc(x.rec.Variants, func(v upload.Variant) bool { return variantSuffix(v.Name) == suffix })
		if suffix != "" && !named {
			remove := func() error { return x.remove(suffix) }
			all = append(all, x.at(suffix, "the record names no such variant", "it is removed", remove)...)
		}
	}
	return all
}

func partsAreThere(x *examined) []finding {
	if !x.measured || !x.waits() {
		return nil
	}
	if len(x.rec.Parts) == 0 {
		return leftovers(x.at(infoSuffix, "it waits for parts that no id names", "it is rejected", x.reject))
	}
	for _, part := range x.rec.Parts {
		if !x.c.isThere(part) {
			return leftovers(x.at(infoSuffix, fmt.Sprintf("it waits for the part %s, which is gone", part), "it is rejected", x.reject))
		}
	}
	return nil
}

// isThere tells that a part may still be joined. One whose record is not understood is gone if a repair moves it aside.
func (c *fsck) isThere(part upload.ID) bool {
	rec, raw, err := c.peek(part)
	if errors.Is(err, upload.ErrUnreadable) {
		_, ours, err := dissect(raw)
		return !c.sureOf(part) || err == nil && isLater(ours)
	}
	return err != nil || raw != nil && rec.Partial && !rec.emptied()
}

func (c *fsck) allThere(parts []upload.ID) bool {
	return !slices.ContainsFunc(parts, func(part upload.ID) bool { return !c.isThere(part) })
}

// finalIsAsLongAsItsParts counts tombstones too, and says nothing once one is swept.
func finalIsAsLongAsItsParts(x *examined) []finding {
	if !x.rec.Final || x.rec.State != upload.Received && x.rec.State != upload.Ready {
		return nil
	}
	sum := int64(0)
	for _, part := range x.rec.Parts {
		rec, raw, err := x.c.peek(part)
		if raw == nil || err != nil || rec.Length == upload.Deferred {
			return nil
		}
		sum += rec.Length
	}
	if len(x.rec.Parts) == 0 || sum == x.rec.Length {
		return nil
	}
	return x.at(infoSuffix, fmt.Sprintf("its length is %d, that of its parts %d", x.rec.Length, sum), "restore or delete it", nil)
}

// joinedInItsFinal says nothing about a final that is not there: whoever may delete it need not delete its parts.
func joinedInItsFinal(x *examined) []finding {
	if x.rec.JoinedIn == "" {
		return nil
	}
	final, err := upload.ParseID(string(x.rec.JoinedIn))
	if err == nil {
		rec, raw, err := x.c.peek(final)
		if raw == nil || err != nil || rec.Final && slices.Contains(rec.Parts, x.id) || !rec.Final && rec.Damaged {
			return nil // the last is one that went back, see goBack
		}
	}
	problem := fmt.Sprintf("it was joined in %q, of which it is no part", x.rec.JoinedIn)
	return x.at(infoSuffix, problem, "its bytes are elsewhere, or lost", nil)
}
