package upload

import "errors"

// Cause is why a sweep removes something.
type Cause string

const (
	Unfinished Cause = "unfinished" // no byte came for the profile's lifetime; a tombstone stays
	UnusedPart Cause = "part"       // a partial upload that no final wants, as above
	Finished   Cause = "finished"   // kept for the profile's retention; a tombstone stays
	Replaced   Cause = "replaced"   // its owner has newer ones, as many as the profile keeps; a tombstone stays
	Tombstone  Cause = "tombstone"  // the record of an upload that has been gone for a week
	Orphan     Cause = "orphan"     // a file that looks like an upload's, without a record, a day old
	Leftover   Cause = "leftover"   // what a crash, or a failing disk, did not come to remove
)

// ErrNotSwept: something that is over could not be removed. The log says what.
var ErrNotSwept = errors.New("not everything that is over could be removed: see the log")

// Swept is one thing that was over.
type Swept struct {
	Profile string `json:"profile"`
	ID      ID     `json:"id"`
	Cause   Cause  `json:"cause"`
	Bytes   int64  `json:"bytes"` // of its files
}
