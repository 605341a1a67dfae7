package store_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// brk is one way to break a directory.
type brk struct {
	name      string
	only      string   // layout; "" is both
	victim    string   // what is broken
	with      []string // other uploads that it cannot do without
	spoil     func(h *home)
	invariant string
	words     string   // of the problem
	also      []string // invariants that are broken with it
	left      bool     // to a person
	all       bool     // other uploads are changed too
	noStart   bool     // a store does not open on it, before or after
	after     func(h *home, f *store.File)
}

// stands checks the state of an upload, and brings it to its end if it is receiving.
func stands(what string, state upload.State, offset int64, damaged bool) func(*home, *store.File) {
	return func(h *home, f *store.File) {
		h.Helper()
		id := h.ids[what]
		rec, err := f.Lookup(id)
		if err != nil || rec.State != state || rec.Offset != offset || rec.Damaged != damaged {
			h.Errorf("got %s at %d, damaged %t, %v, want %s at %d, %t", rec.State, rec.Offset, rec.Damaged, err, state, offset, damaged)
		}
		if rec.State != upload.Receiving || rec.Length == upload.Deferred {
			return
		}
		_, err = f.WriteChunk(id, rec.Offset, bytes.NewReader(whole[rec.Offset:rec.Length]), upload.Check{})
		h.must(err)
		_, err = f.Complete(id)
		h.must(err)
		if got, err := os.ReadFile(h.at(what, "")); err != nil || !bytes.Equal(got, whole[:rec.Length]) {
			h.Errorf("content differs, or %v", err)
		}
	}
}

// lost checks that files, and the upload, are where a person may look for them.
func lost(what string, suffixes ...string) func(*home, *store.File) {
	return func(h *home, f *store.File) {
		h.Helper()
		for _, suffix := range suffixes {
			if _, err := os.Stat(h.own("lost+found/" + string(h.ids[what]) + suffix)); err != nil {
				h.Error(err)
			}
		}
		if slices.Contains(suffixes, "") {
			got, err := os.ReadFile(h.own("lost+found/" + string(h.ids[what])))
			if err != nil || !bytes.HasPrefix(whole, got) || len(got) == 0 {
				h.Errorf("its bytes are %q, %v", got, err)
			}
		}
		absent(what)(h, f)
	}
}

func absent(what string) func(*home, *store.File) {
	return func(h *home, f *store.File) {
		h.Helper()
		if _, err := f.Lookup(h.ids[what]); !errors.Is(err, upload.ErrNotFound) {
			h.Errorf("look up: got %v, want %v", err, upload.ErrNotFound)
		}
	}
}

func ready(h *home, f *store.File) {
	h.Helper()
	reads(h.T, f, h.ids["ready"], string(whole))
	file, _, err := f.OpenVariant(h.ids["ready"], "64")
	h.must(err)
	got, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil || string(got) != "abc" {
		h.Errorf("variant is %q, %v", got, err)
	}
}

const (
	invPlain    = "every file of an upload is a plain file"
	invWritten  = "nothing is half written"
	invRemoved  = "nothing is half removed"
	invLock     = "no lock of tusd is left"
	invOrphan   = "every file belongs to a record"
	invRead     = "a record can be read"
	invWhole    = "a record is whole"
	invOwn      = "a record is that of the upload whose name it has"
	invState    = "a record's state is one that this version knows"
	invSense    = "a record makes sense"
	invProfile  = "a record names the profile in whose directory it lies"
	invOpen     = "the content can be read and written"
	invFile     = "a complete upload has its file"
	invBytes    = "acknowledged bytes are there, and a complete upload is as long as its length"
	invChecked  = "bytes that were checked are there"
	invTail     = "no byte lies above those that count"
	invGone     = "an upload that is rejected, expired or joined has no bytes"
	invVariant  = "a variant that the record names is there, and as long as it says"
	invOther    = "a variant that is there is named by the record, or about to be"
	invParts    = "the parts for which a final waits are there"
	invLength   = "a final is as long as its parts"
	invJoined   = "what a part was joined in has it as a part"
	invPlace    = "the files of an upload lie in the directory of its id"
	invFan      = "what is named like a directory of uploads is one, and can be read"
	invMark     = "the mark is readable and of a known format"
	invLeft     = "nothing is left behind in .sluice"
	invOwnPlain = "what the store keeps about itself are plain files"
)

var breaks = []brk{
	{name: "record is a directory", victim: "receiving", invariant: invPlain, words: "a directory", left: true,
		spoil: func(h *home) {
			h.must(errors.Join(os.Remove(h.at("receiving", ".info")), os.Mkdir(h.at("receiving", ".info"), 0o750)))
		}},
	{name: "content is a symbolic link", victim: "received", invariant: invPlain, words: "a symbolic link", left: true,
		spoil: func(h *home) {
			h.must(errors.Join(os.Remove(h.at("received", "")), os.Symlink(filepath.Base(h.at("ready", "")), h.at("received", ""))))
		}},
	{name: "record is a symbolic link out of the directory", victim: "received", invariant: invPlain, words: "a symbolic link", left: true,
		spoil: func(h *home) {
			h.must(errors.Join(os.Remove(h.at("received", ".info")), os.Symlink("/etc/hostname", h.at("received", ".info"))))
		}},
	{name: "record is a pipe", victim: "part", invariant: invPlain, words: "special", left: true, spoil: func(h *home) {
		h.must(errors.Join(os.Remove(h.at("part", ".info")), syscall.Mkfifo(h.at("part", ".info"), 0o600)))
	}, noStart: true}, // it would wait for ever

	{name: "record half written", victim: "receiving", invariant: invWritten, words: "crash", spoil: func(h *home) {
		writeFile(h.T, h.at("receiving", ".info.tmp"), `{"ID`)
	}, after: stands("receiving", upload.Receiving, half, false)},
	{name: "record not written", victim: "ready", invariant: invWritten, words: "crash", spoil: func(h *home) {
		h.must(errors.Join(os.Truncate(h.at("ready", ".info"), 0), os.Remove(h.at("ready", "")), os.Remove(h.at("ready", ".64"))))
	}, after: func(h *home, f *store.File) {
		if left := namesOf(h.T, h.dir, h.ids["ready"]); len(left) > 0 {
			h.Errorf("left: %q", left)
		}
		absent("ready")(h, f)
	}},
	{name: "variant half written", victim: "received", invariant: invWritten, words: "crash", spoil: func(h *home) {
		writeFile(h.T, h.at("received", ".64.tmp"), "ab")
	}, after: stands("received", upload.Received, int64(len(whole)), false)},
	{name: "half removed", victim: "ready", invariant: invRemoved, words: "crash", spoil: func(h *home) {
		h.rename(h.at("ready", ".info"), h.at("ready", ".gone"))
	}, after: func(h *home, f *store.File) {
		if left := namesOf(h.T, h.dir, h.ids["ready"]); len(left) > 0 {
			h.Errorf("left: %q", left)
		}
		absent("ready")(h, f)
	}},
	{name: "half removed, with a variant that is not made any more", victim: "ready", invariant: invRemoved, words: "crash", spoil: func(h *home) {
		h.record("ready", func(_, ours map[string]any) { ours["variants"] = []any{map[string]any{"name": "99"}} })
		h.rename(h.at("ready", ".info"), h.at("ready", ".gone"))
		writeFile(h.T, h.at("ready", ".99"), "abc")
	}, after: func(h *home, _ *store.File) {
		if left := namesOf(h.T, h.dir, h.ids["ready"]); len(left) > 0 {
			h.Errorf("left: %q", left)
		}
	}},
	{name: "half removed, torn", victim: "ready", invariant: invRemoved, words: "crash", spoil: func(h *home) {
		h.must(os.Remove(h.at("ready", ".info")))
		writeFile(h.T, h.at("ready", ".gone"), "{")
	}, after: absent("ready")},
	{name: "removed, and there", victim: "ready", invariant: invRemoved, words: "yet it has a record", spoil: func(h *home) {
		writeFile(h.T, h.at("ready", ".gone"), "{}")
	}, after: ready},
	{name: "lock of a dead tusd", only: "flat", victim: "tusd's unfinished", invariant: invLock, words: "lives no more",
		spoil: func(h *home) {
			writeFile(h.T, h.at("tusd's unfinished", ".lock"), strconv.Itoa(h.dead)+"\n")
		}},
	{name: "lock of a tusd that had our number", only: "flat", victim: "tusd's own name", invariant: invLock, words: "lives no more",
		spoil: func(h *home) {
			writeFile(h.T, h.at("tusd's own name", ".lock"), strconv.Itoa(os.Getpid()))
		}},

	{name: "content without a record", victim: "receiving", invariant: invOrphan, words: "no record", spoil: func(h *home) {
		h.must(os.Remove(h.at("receiving", ".info")))
	}, after: lost("receiving", "")},
	{name: "content and variant without a record, the second time", victim: "ready", invariant: invOrphan, words: "no record",
		spoil: func(h *home) {
			writeFile(h.T, h.own("lost+found/"+string(h.ids["ready"])+".64"), "taken")
			h.must(os.Remove(h.at("ready", ".info")))
		}, after: lost("ready", "", ".64", ".64.1")},

	{name: "torn record", victim: "receiving", invariant: invWhole, words: "torn", spoil: func(h *home) {
		h.must(os.Truncate(h.at("receiving", ".info"), 10))
	}, after: lost("receiving", ".info", "")},
	{name: "empty record of a ready upload", victim: "ready", invariant: invWhole, words: "torn", spoil: func(h *home) {
		h.must(os.Truncate(h.at("ready", ".info"), 0))
	}, after: lost("ready", "", ".64")}, // the rest says nothing
	{name: "record of another shape", victim: "receiving", invariant: invWhole, words: "torn, or none", spoil: func(h *home) {
		h.record("receiving", func(info, _ map[string]any) { info["Size"] = "many" })
	}, after: lost("receiving", ".info", "")},
	{name: "record of another shape inside", victim: "receiving", invariant: invWhole, words: "torn, or none",
		spoil: func(h *home) {
			h.record("receiving", func(_, ours map[string]any) { ours["synced"] = "all" })
		}, after: lost("receiving", ".info", "")},
	{name: "torn record of a name of tusd's", only: "flat", victim: "tusd's own name", invariant: invWhole, words: "torn", left: true,
		spoil: func(h *home) {
			h.must(os.Truncate(h.at("tusd's own name", ".info"), 10))
		}},
	{name: "torn record of a part", victim: "part", invariant: invWhole, words: "torn", also: []string{invParts}, all: true,
		spoil: func(h *home) {
			h.must(os.Truncate(h.at("part", ".info"), 10))
		}, after: func(h *home, f *store.File) {
			lost("part", ".info", "")(h, f)
			stands("final", upload.Rejected, 0, false)(h, f)
		}},
	{name: "record of another", victim: "receiving", invariant: invOwn, words: `"another"`, spoil: func(h *home) {
		h.record("receiving", func(info, _ map[string]any) { info["ID"] = "another" })
	}, after: lost("receiving", ".info", "")},
	{name: "state of a later version", victim: "receiving", invariant: invState, words: `"quarantined"`, left: true,
		spoil: func(h *home) {
			h.record("receiving", func(_, ours map[string]any) { ours["state"] = "quarantined" })
		}},
	{name: "state of a later version, of a part", victim: "part", invariant: invState, words: `"quarantined"`, left: true,
		spoil: func(h *home) {
			h.record("part", func(_, ours map[string]any) { ours["state"] = "quarantined" })
		}},
	{name: "no state", victim: "receiving", invariant: invSense, words: "state", spoil: func(h *home) {
		h.record("receiving", func(_, ours map[string]any) { ours["state"] = "" })
	}, after: lost("receiving", ".info", "")},
	{name: "negative size", victim: "receiving", invariant: invSense, words: "size is -1", spoil: func(h *home) {
		h.record("receiving", func(info, _ map[string]any) { info["Size"] = -1 })
	}, after: lost("receiving", ".info", "")},
	{name: "negative synced", victim: "receiving", invariant: invSense, words: "lengths", spoil: func(h *home) {
		h.record("receiving", func(_, ours map[string]any) { ours["synced"] = -1 })
	}, after: lost("receiving", ".info", "")},
	{name: "negative checked", victim: "checked", invariant: invSense, words: "lengths", spoil: func(h *home) {
		h.record("checked", func(_, ours map[string]any) { ours["checked"] = -1 })
	}, after: lost("checked", ".info", "")},
	{name: "ready without a length", victim: "ready", invariant: invSense, words: "lengths", spoil: func(h *home) {
		h.record("ready", func(info, _ map[string]any) { info["SizeIsDeferred"] = true })
	}, after: lost("ready", ".info", "", ".64")},
	{name: "variant with a path", victim: "ready", invariant: invSense, words: "variant", spoil: func(h *home) {
		h.record("ready", func(_, ours map[string]any) { ours["variants"] = []any{map[string]any{"name": "../x"}} })
	}, after: lost("ready", ".info", "", ".64")},

	{name: "another profile", victim: "ready", invariant: invProfile, words: `"film"`, spoil: func(h *home) {
		h.record("ready", func(_, ours map[string]any) { ours["profile"] = "film" })
	}, after: ready},
	{name: "file of nothing missing", victim: "nothing", invariant: invFile, words: "missing", spoil: func(h *home) {
		h.must(os.Remove(h.at("nothing", "")))
	}, after: stands("nothing", upload.Received, 0, false)},

	{name: "ready, file missing", victim: "ready", invariant: invBytes, words: "9600 bytes were acknowledged", also: []string{invOther},
		spoil: func(h *home) {
			h.must(os.Remove(h.at("ready", "")))
		}, after: stands("ready", upload.Receiving, 0, true)},
	{name: "ready, short", victim: "ready", invariant: invBytes, words: "ends at 7", also: []string{invOther},
		spoil: func(h *home) {
			h.must(os.Truncate(h.at("ready", ""), 7))
		}, after: stands("ready", upload.Receiving, 7, true)},
	{name: "received, short", victim: "received", invariant: invBytes, words: "ends at 4096", also: []string{invOther}, spoil: func(h *home) {
		h.must(os.Truncate(h.at("received", ""), 4096))
	}, after: stands("received", upload.Receiving, 4096, true)},
	{name: "shorter than synced", victim: "receiving", invariant: invBytes, words: "ends at 4800, 4801", spoil: func(h *home) {
		h.record("receiving", func(_, ours map[string]any) { ours["synced"] = half + 1 })
	}, after: stands("receiving", upload.Receiving, half, true)},
	{name: "shorter than synced and checked", victim: "checked", invariant: invBytes, words: "ends at 100", also: []string{invChecked},
		spoil: func(h *home) {
			h.must(os.Truncate(h.at("checked", ""), 100))
		}, after: stands("checked", upload.Receiving, 100, true)},
	{name: "shorter than checked", victim: "checked", invariant: invChecked, words: "4800 bytes were checked",
		spoil: func(h *home) {
			h.record("checked", func(_, ours map[string]any) { ours["synced"] = 0 })
			h.must(os.Truncate(h.at("checked", ""), 100))
		}, after: stands("checked", upload.Receiving, 100, false)},
	{name: "joined, short", victim: "joined", invariant: invBytes, words: "ends at 7", spoil: func(h *home) {
		h.must(os.Truncate(h.at("joined", ""), 7))
	}, after: func(h *home, f *store.File) {
		_, err := f.WriteChunk(h.ids["joined"], 7, bytes.NewReader(slices.Concat(whole, whole[:half])[7:]), upload.Check{})
		h.must(err)
		rec, err := f.Complete(h.ids["joined"])
		if h.must(err); !rec.Damaged || rec.Final {
			h.Errorf("got %+v, want an upload that was damaged and is no final any more", rec)
		}
	}},
	{name: "tusd's final, ready, short", only: "flat", victim: "tusd's final", with: []string{"tusd's part", "tusd's other part"},
		invariant: invBytes, words: "ends at 7",
		spoil: func(h *home) {
			f := h.open()
			_, err := f.Publish(h.ids["tusd's final"], upload.Outcome{MediaType: "text/plain"})
			h.must(errors.Join(err, f.Close()))
			h.must(os.Truncate(h.at("tusd's final", ""), 7))
		}, after: func(h *home, f *store.File) {
			_, err := f.Assemble(h.Context(), h.ids["tusd's final"])
			h.must(err)
			reads(h.T, f, h.ids["tusd's final"], "partpart")
		}},

	{name: "hole", victim: "receiving", invariant: invBytes, words: "from 4096 on were never written", spoil: func(h *home) {
		h.hole("receiving", 4096)
	}, after: stands("receiving", upload.Receiving, 4096, true)},
	{name: "hole in a ready upload", victim: "ready", invariant: invBytes, words: "from 4096 on were never written", left: true,
		spoil: func(h *home) {
			h.hole("ready", 4096)
		}},
	{name: "hole after a power cut", victim: "receiving", invariant: invBytes, words: "from 4096 on were never written",
		spoil: func(h *home) {
			h.hole("receiving", 4096)
			h.powerCut(true)
		}, after: stands("receiving", upload.Receiving, 4096, false)},
	{name: "hole in a ready upload after a power cut", victim: "ready", invariant: invBytes,
		words: "from 4096 on were never written", also: []string{invOther},
		spoil: func(h *home) {
			h.hole("ready", 4096)
			h.powerCut(true)
		}, after: stands("ready", upload.Receiving, 4096, true)},

	{name: "tail", victim: "receiving", invariant: invTail, words: "above byte 9600 lie 5", spoil: func(h *home) {
		h.must(os.WriteFile(h.at("receiving", ""), append(bytes.Clone(whole), "extra"...), 0o600))
	}, after: stands("receiving", upload.Received, int64(len(whole)), false)},
	{name: "tail of a ready upload", victim: "ready", invariant: invTail, words: "above byte 9600 lie 5", spoil: func(h *home) {
		h.must(os.WriteFile(h.at("ready", ""), append(bytes.Clone(whole), "extra"...), 0o600))
	}, after: ready},
	{name: "tail that was not checked", victim: "checked", invariant: invTail, words: "above byte 4800 lie 7",
		spoil: func(h *home) {
			h.must(os.WriteFile(h.at("checked", ""), append(bytes.Clone(whole[:half]), "not yet"...), 0o600))
		}, after: stands("checked", upload.Receiving, half, false)},
	{name: "bytes of a rejected upload", victim: "rejected", invariant: invGone, words: "though it is rejected",
		spoil: func(h *home) {
			writeFile(h.T, h.at("rejected", ""), "bytes")
			writeFile(h.T, h.at("rejected", ".8"), "bytes")
		}, after: func(h *home, f *store.File) {
			if left := namesOf(h.T, h.dir, h.ids["rejected"]); len(left) != 1 {
				h.Errorf("left: %q, want the record alone", left)
			}
		}},
	{name: "variant of one that is kept", victim: "kept", invariant: invOther, words: "names no such variant",
		spoil: func(h *home) { writeFile(h.T, h.at("kept", ".8"), "bytes") },
		after: func(h *home, f *store.File) {
			if got, err := os.ReadFile(h.at("kept", "")); err != nil || !bytes.Equal(got, whole) {
				h.Errorf("what is kept is %q, %v", got, err)
			}
			stands("kept", upload.Rejected, 0, false)(h, f)
		}},
	{name: "bytes of an expired upload", victim: "expired", invariant: invGone, words: "though it is expired",
		spoil: func(h *home) {
			writeFile(h.T, h.at("expired", ""), "bytes")
		}, after: stands("expired", upload.Expired, 0, false)},
	{name: "bytes of a part that was joined", victim: "joined part", invariant: invGone, words: "though it was joined",
		spoil: func(h *home) {
			writeFile(h.T, h.at("joined part", ""), "bytes")
		}},

	{name: "variant missing", victim: "ready", invariant: invVariant, words: "missing", spoil: func(h *home) {
		h.must(os.Remove(h.at("ready", ".64")))
	}, after: published},
	{name: "variant short", victim: "ready", invariant: invVariant, words: "3 bytes", spoil: func(h *home) {
		h.must(os.Truncate(h.at("ready", ".64"), 2))
	}, after: published},
	{name: "variant of an upload that is not received", victim: "receiving", invariant: invOther, words: "no such variant",
		spoil: func(h *home) {
			writeFile(h.T, h.at("receiving", ".64"), "abc")
		}, after: stands("receiving", upload.Receiving, half, false)},
	{name: "other variant of a ready upload", victim: "ready", invariant: invOther, words: "no such variant",
		spoil: func(h *home) {
			writeFile(h.T, h.at("ready", ".8"), "abc")
		}, after: ready},

	{name: "part missing", victim: "final", invariant: invParts, words: "which is gone", all: true, spoil: func(h *home) {
		h.must(errors.Join(os.Remove(h.at("part", "")), os.Remove(h.at("part", ".info"))))
		h.record("final", func(_, ours map[string]any) { ours["changed"] = "2001-02-03T04:05:06Z" })
	}, after: func(h *home, f *store.File) {
		stands("final", upload.Rejected, 0, false)(h, f)
		h.must(f.Sweep(h.Context(), false, func(upload.Swept) {}))
		stands("final", upload.Rejected, 0, false)(h, f) // for as long as clients may come back
	}},
	{name: "part rejected", victim: "final", invariant: invParts, words: "which is gone", all: true, spoil: func(h *home) {
		h.must(os.Remove(h.at("part", "")))
		h.record("part", func(_, ours map[string]any) { ours["state"] = "rejected" })
	}, after: stands("final", upload.Rejected, 0, false)},
	{name: "part that is none", victim: "final", invariant: invParts, words: "which is gone", all: true, spoil: func(h *home) {
		h.record("part", func(info, _ map[string]any) { info["IsPartial"] = false })
	}, after: stands("final", upload.Rejected, 0, false)},
	{name: "no parts", victim: "final", invariant: invParts, words: "no id names", spoil: func(h *home) {
		h.record("final", func(info, _ map[string]any) { info["PartialUploads"] = []any{"a/b"} })
	}, after: stands("final", upload.Rejected, 0, false)},
	{name: "final of another length", victim: "joined", invariant: invLength, words: "that of its parts 14401", left: true, all: true,
		spoil: func(h *home) {
			h.record("other joined part", func(info, _ map[string]any) { info["Size"] = half + 1 })
		}},
	{name: "joined in something else", victim: "joined part", invariant: invJoined, words: "of which it is no part", left: true,
		spoil: func(h *home) {
			h.record("joined part", func(_, ours map[string]any) { ours["joinedIn"] = h.ids["final"] })
		}},
	{name: "joined in no id", victim: "joined part", invariant: invJoined, words: `"../x"`, left: true, spoil: func(h *home) {
		h.record("joined part", func(_, ours map[string]any) { ours["joinedIn"] = "../x" })
	}},

	{name: "in another directory", only: "fanned out", victim: "ready", invariant: invPlace, words: "wrong directory",
		spoil: func(h *home) {
			for _, suffix := range []string{"", ".info", ".64"} {
				h.rename(h.at("ready", suffix), filepath.Join(h.dir, "zz", string(h.ids["ready"])+suffix))
			}
		}, after: ready},
	{name: "beside the directories", only: "fanned out", victim: "ready", invariant: invPlace, words: "wrong directory",
		spoil: func(h *home) {
			for _, suffix := range []string{"", ".info", ".64"} {
				h.rename(h.at("ready", suffix), filepath.Join(h.dir, string(h.ids["ready"])+suffix))
			}
			_ = os.Remove(filepath.Dir(h.at("ready", ""))) // unless there is another upload in it
		}, after: ready},
	{name: "moved halfway", only: "fanned out", victim: "ready", invariant: invPlace, words: "wrong directory",
		spoil: func(h *home) {
			for _, suffix := range []string{"", ".64"} {
				h.rename(h.at("ready", suffix), filepath.Join(h.dir, "zz", string(h.ids["ready"])+suffix))
			}
		}, after: ready},
	{name: "in two directories", only: "fanned out", victim: "ready", invariant: invPlace, words: "wrong directory", left: true,
		spoil: func(h *home) {
			raw, err := os.ReadFile(h.at("ready", ".info"))
			h.must(err)
			writeFile(h.T, filepath.Join(h.dir, "zz", string(h.ids["ready"])+".info"), string(raw))
		}, after: ready},
	{name: "a file in the place of a directory", only: "fanned out", invariant: invFan, words: "is none", left: true, all: true,
		spoil: func(h *home) {
			writeFile(h.T, filepath.Join(h.dir, "zz"), "x")
		}},
	{name: "a link in the place of a directory", only: "fanned out", invariant: invFan, words: "a symbolic link", left: true,
		spoil: func(h *home) {
			h.must(os.Symlink(filepath.Base(filepath.Dir(h.at("ready", ""))), filepath.Join(h.dir, "zz")))
		}},

	{name: "torn mark", invariant: invMark, words: "torn",
		spoil: func(h *home) { writeFile(h.T, h.own("mark.json"), `{"form`) }},
	{name: "torn mark after a power cut", invariant: invMark, words: "torn", spoil: func(h *home) { setMark(h.T, h.dir, "") }},
	{name: "mark of a later version", invariant: invMark, words: "does not know its format", left: true, noStart: true, all: true,
		spoil: func(h *home) {
			writeFile(h.T, h.own("mark.json"), `{"format":3}`)
			writeFile(h.T, h.at("receiving", ".info.tmp"), "x")
		}},
	{name: "mark is a directory", invariant: invMark, words: "no good", also: []string{invOwnPlain}, left: true, noStart: true,
		spoil: func(h *home) {
			h.must(errors.Join(os.Remove(h.own("mark.json")), os.Mkdir(h.own("mark.json"), 0o750)))
		}},
	{name: "mark half written", invariant: invLeft, words: "crash",
		spoil: func(h *home) { writeFile(h.T, h.own("mark.json.tmp"), "{") }},
	{name: "probe left", invariant: invLeft, words: "crash", spoil: func(h *home) { writeFile(h.T, h.own("probe"), "x") }},
	{name: "clean is a directory", invariant: invOwnPlain, words: "a directory", left: true, spoil: func(h *home) {
		h.must(errors.Join(os.Remove(h.own("clean")), os.Mkdir(h.own("clean"), 0o750)))
	}},
}

// published checks that the ready upload is processed again.
func published(h *home, f *store.File) {
	h.Helper()
	found := false
	h.must(f.Due(h.Context(), func(rec upload.Record) bool { found = found || rec.ID == h.ids["ready"]; return true }))
	if !found {
		h.Error("nobody makes the variants anew")
	}
	_, err := f.Publish(h.ids["ready"], upload.Outcome{MediaType: "text/plain", Variants: picture})
	h.must(err)
	ready(h, f)
}
