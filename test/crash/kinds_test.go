package crash

import (
	"context"
	"math/rand/v2"
)

// profile is a row of the server's table.
type profile struct {
	path, dir string
	flat      bool // all files in one directory
	variants  []string
}

var (
	files   = profile{path: "/files/", dir: "file", flat: true}
	videos  = profile{path: "/videos/", dir: "video"}
	avatars = profile{path: "/avatars/", dir: "avatar", variants: []string{"512", "256", "64"}}
)

// kind is a kind of upload. What is not given is done as by everybody: announced without bytes, then sent in chunks.
type kind struct {
	name        string
	profile     profile
	weight      int   // how many of them are made
	least, most int64 // bytes
	head        func(seed uint64) []byte
	deferred    bool  // the length is told later
	refusable   bool  // to be rejected for its content
	joined      bool  // from parts
	first, next draft // the chunk that goes with the announcement; those that follow
	visit       func(context.Context, *client, *upload) error
}

// draft draws up the next chunk of an upload.
type draft func(r *rand.Rand, u *upload) chunk

const kib, mib = int64(1) << 10, int64(1) << 20

// kinds is the table of what clients do. A server that cannot join uploads is not asked to.
func kinds(joins bool) []*kind {
	film := func(uint64) []byte { return movie }
	table := []*kind{
		{name: "small", profile: files, weight: 8, least: 1, most: 64 * kib,
			first: rest(unchecked, unchecked, right, wrong), next: rest(unchecked)},
		{name: "avatar", profile: avatars, weight: 4, least: 2 * kib, most: 40 * kib, head: picture,
			first: sometimes(rest(unchecked)), next: pieces(kib, 40*kib)},
		{name: "large", profile: videos, weight: 4, least: mib, most: 8 * mib, head: film, next: pieces(256*kib, 3*mib)},
		{name: "giant", profile: videos, weight: 1, least: 36 * mib, most: 44 * mib, head: film, next: rest(unchecked)},
		{name: "chunked", profile: files, weight: 2, least: 64 * kib, most: 2 * mib, next: pieces(16*kib, 600*kib, inChunks)},
		{name: "checked", profile: files, weight: 3, least: 64 * kib, most: 4 * mib, next: pieces(16*kib, mib, checked)},
		{name: "trailer", profile: videos, weight: 3, least: 64 * kib, most: 4 * mib, head: film,
			next: pieces(16*kib, mib, checked, inTrailer)},
		{name: "deferred", profile: files, weight: 3, least: 1, most: mib, deferred: true, next: pieces(kib, 300*kib, declaring)},
		{name: "terminated", profile: videos, weight: 3, least: 256 * kib, most: 3 * mib, head: film,
			next: pieces(64*kib, mib), visit: cutDown},
		{name: "overlong", profile: files, weight: 2, least: 64 * kib, most: 2 * mib, next: pieces(16*kib, 600*kib, tooMuch)},
		{name: "interrupted", profile: files, weight: 3, least: 256 * kib, most: 3 * mib, next: pieces(64*kib, mib), visit: takeOver},
		{name: "no film", profile: videos, weight: 1, least: 2 * kib, most: 512 * kib, refusable: true, next: pieces(kib, 256*kib)},
		{name: "no picture", profile: avatars, weight: 1, least: 2 * kib, most: 40 * kib, head: tornPicture, refusable: true,
			first: sometimes(rest(unchecked)), next: pieces(kib, 20*kib)},
	}
	if joins {
		table = append(table, &kind{name: "joined", profile: files, weight: 4, least: 128 * kib, most: 4 * mib,
			joined: true, visit: joinUp})
	}
	return table
}

// part is the kind of what is joined.
var part = &kind{name: "part", profile: files, first: sometimes(pieces(1, 32*kib)), next: pieces(16*kib, mib)}

// firstChunk draws up what goes with the announcement.
func (k *kind) firstChunk(r *rand.Rand, u *upload) chunk {
	if k.first == nil {
		return chunk{}
	}
	return k.first(r, u)
}

// rest is all that is missing, with one of sums.
func rest(sums ...checksum) draft {
	return func(r *rand.Rand, u *upload) chunk {
		return chunk{from: u.known().acked, to: u.file.size, sum: sums[r.IntN(len(sums))]}
	}
}

// pieces are chunks of that many bytes, each altered.
func pieces(least, most int64, alter ...func(*rand.Rand, *upload, *chunk)) draft {
	return func(r *rand.Rand, u *upload) chunk {
		from := u.known().acked
		k := chunk{from: from, to: min(from+least+r.Int64N(most-least), u.file.size)}
		for _, a := range alter {
			a(r, u, &k)
		}
		return k
	}
}

// sometimes is nothing in half of the cases.
func sometimes(d draft) draft {
	return func(r *rand.Rand, u *upload) chunk {
		if r.IntN(2) == 0 {
			return chunk{}
		}
		return d(r, u)
	}
}

func inChunks(_ *rand.Rand, _ *upload, k *chunk) { k.chunked = true }

func inTrailer(_ *rand.Rand, _ *upload, k *chunk) { k.trailer = true }

// checked has every other chunk carry bytes that its checksum is not of.
func checked(r *rand.Rand, _ *upload, k *chunk) {
	k.sum = right
	if r.IntN(2) == 0 {
		k.sum = wrong
	}
}

// declaring tells the length now and then, also twice, and at the latest when there is nothing else to send.
func declaring(r *rand.Rand, _ *upload, k *chunk) { k.declare = k.to == k.from || r.IntN(3) == 0 }

// tooMuch has every other chunk go beyond the end.
func tooMuch(r *rand.Rand, u *upload, k *chunk) {
	if r.IntN(2) == 0 {
		k.to, k.extra = u.file.size, 1+r.Int64N(100*kib)
	}
}
