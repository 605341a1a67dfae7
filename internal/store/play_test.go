package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// What the store does not withstand yet. Each of these grants it what no disk promises, or overlooks a fault of its own; false
// shows what happens then.
const (
	// lengthLast: the disk is like xfs. On others, ext4 among them, zeros that are no hole may lie below the length.
	lengthLast = true
	// settlesAfterDeath: what a process that was killed left is durable before the next one tells of it.
	settlesAfterDeath = true
	// falseAlarms: an upload may be called damaged of which nothing is lost that was told.
	falseAlarms = true
	// fallsBackDurably: what follows a failure is durable where holes are not reported.
	fallsBackDurably = true
	// triesTwice: a start that fails for want of a file is tried again.
	triesTwice = true
)

// world is one way to keep uploads.
type world struct {
	durable, flat, blind bool
	alone                bool // there is no journal: each file is synced by itself
}

func (w world) String() string {
	say := func(is bool, yes, no string) string { return map[bool]string{true: yes, false: no}[is] }
	return say(w.durable, "durable", "not durable") + ", " + say(w.flat, "flat", "fanned") + ", holes " + say(w.blind, "unknown", "reported") + say(w.alone, ", alone", "")
}

// fault is what happens at the k-th operation of a script.
type fault struct {
	k    int
	how  faultfs.How
	cut  bool // of the power, where the process dies
	seed uint64
}

func (f fault) String() string {
	what := f.how.String()
	if f.cut {
		what = map[faultfs.How]string{faultfs.Killed: "power cut", faultfs.Fatal: "torn and power cut"}[f.how]
	}
	return fmt.Sprintf("%s at %d, seed %d", what, f.k, f.seed)
}

// step is one thing done to a store. It returns nil if it came out as it must without faults.
type step func(p *play) error

// play is a script on a store on a disk, with at most one fault.
type play struct {
	*testing.T
	world
	fault
	disk     *faultfs.Disk
	fs       *faultfs.FS
	s        *store.File
	left     *store.File // the one that was opened last
	accounts []*account
	disorder bool  // names were lost out of order
	story    []any // what happened, for whoever reads of a failure
}

func newPlay(t *testing.T, w world) *play {
	p := &play{T: t, world: w, disk: faultfs.NewDisk()}
	p.disk.LengthLast = lengthLast
	if err := errors.Join(p.disk.Mkdir(".sluice"), p.disk.Flush()); err != nil {
		t.Fatal(err)
	}
	p.boot()
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	return p
}

// boot begins a process, which sees the disk as it is.
func (p *play) boot() {
	p.fs = faultfs.New(p.disk)
	p.fs.Blind, p.fs.NoFlush = p.blind, p.alone
}

func (p *play) open() (err error) {
	p.letGo()
	p.s, err = store.OpenOn(p.fs, store.Options{Profile: "test", Flat: p.flat, Durable: p.durable, Variants: []string{"64"},
		Judge: picky, Metrics: p.metrics(), Logger: quiet}, nothing)
	p.left = p.s
	return err
}

// letGo lets go of what the last process held.
func (p *play) letGo() {
	if p.left != nil {
		p.left.Crash() // on a disk that may be dead
		p.left = nil
	}
}

func (p *play) metrics() *store.Metrics { return store.NewMetrics() }

// picky is a judge that does not take everything.
func picky(head []byte) (string, error) {
	if bytes.HasPrefix(head, []byte("bad")) {
		return "", unwanted
	}
	return "text/plain", nil
}

func (p *play) failf(format string, args ...any) {
	p.Helper()
	var story strings.Builder
	for _, event := range p.story {
		fmt.Fprintf(&story, "\n\t- %v", event)
	}
	p.Errorf("%v: %s%s", p.fault, fmt.Sprintf(format, args...), &story)
}

func (p *play) note(event any) { p.story = append(p.story, event) }

func (p *play) checker(restarted bool) checker {
	return checker{fs: p.disk, s: p.s, flat: p.flat, fails: p.failf, restarted: restarted, disorder: p.disorder,
		alarms: falseAlarms && (p.blind || !p.how.Final())}
}

// cutPower takes what is not durable, and has the store's mark name another boot.
func (p *play) cutPower(seed uint64) {
	loss := p.disk.PowerCut(seed)
	p.note(loss)
	p.disorder = p.disorder || !loss.InOrder
	if !p.durable {
		for _, a := range p.accounts {
			a.forgive()
		}
	}
	const file = ".sluice/mark.json"
	raw, err := p.disk.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var mark map[string]any
	err = errors.Join(err, json.Unmarshal(raw, &mark))
	mark["boot"] = "other"
	raw, encoded := json.Marshal(mark)
	if err := errors.Join(err, encoded, durable.WriteFile(p.disk, file, raw, true)); err != nil {
		p.Fatal(err)
	}
}

// run plays the steps to their end, or to the first that fails, which only the fault may cause. It tells how many operations
// there were.
func (p *play) run(steps []step) int {
	p.Helper()
	if p.k > 0 {
		p.fs.FailAt(p.k, p.how)
	}
	for i, do := range steps {
		if !p.durable && p.seed%2 == 1 {
			p.disk.Flush() // much time has passed
		}
		if err := do(p); errors.Is(err, faultfs.ErrInjected) && p.k > 0 {
			p.note(err)
			break
		} else if err != nil {
			p.failf("step %d: %v", i+1, err)
			break
		}
	}
	return len(p.fs.Ops())
}

// restart ends the process, with the power or alone, and begins another. With dice, one in four is cut short in turn.
func (p *play) restart(cut bool, seed uint64, dice *rand.Rand) {
	p.Helper()
	for {
		if cut {
			p.cutPower(seed)
		} else if settlesAfterDeath {
			p.disk.Flush()
		}
		p.boot()
		if dice != nil && dice.IntN(4) == 0 {
			k := 1 + dice.IntN(30)
			p.fs.FailAt(k, []faultfs.How{faultfs.Killed, faultfs.Fatal}[dice.IntN(2)])
			cut, seed = dice.IntN(2) == 0, dice.Uint64()
		}
		err := p.open()
		if triesTwice && errors.Is(err, fs.ErrNotExist) {
			err = p.open()
		}
		if err != nil && !errors.Is(err, faultfs.ErrInjected) {
			p.failf("start: %v", err)
			p.FailNow()
		}
		if !p.fs.Dead() {
			break
		}
		p.note(fmt.Errorf("start cut short: %w", err))
	}
	p.fs.Fail(nil)
}

// aftermath checks what is left after a fault, and that it is good for everything.
func (p *play) aftermath() {
	p.Helper()
	dice := rand.New(rand.NewPCG(p.seed, uint64(p.k)))
	if p.how == faultfs.Refused || p.how == faultfs.Unsaid {
		p.goOn()
	}
	p.restart(p.cut, p.seed, dice)
	p.note("started again")
	p.checker(true).check(p.accounts)
	before := p.checker(true).tree()
	p.restart(false, 0, nil)
	p.note("started a second time")
	p.checker(true).check(p.accounts)
	if names := changed(before, p.checker(true).tree()); len(names) > 0 {
		p.failf("a second start changed %q", names)
	}
	if dice.IntN(2) == 0 {
		p.restart(true, dice.Uint64(), dice)
		p.note("started after another power cut")
		p.checker(true).check(p.accounts)
	}
	p.checker(true).carryOn(p.accounts)
}

// goOn is what a process does that survived.
func (p *play) goOn() {
	p.fs.Fail(nil)
	p.note("goes on")
	if p.s != nil {
		p.checker(false).check(p.accounts)
	}
	if fallsBackDurably && p.blind {
		p.disk.Flush()
	}
	p.cut = p.k%3 == 0
}

// account is that of id.
func (p *play) account(id upload.ID) *account {
	i := slices.IndexFunc(p.accounts, func(a *account) bool { return a.id == id })
	if i < 0 {
		p.accounts = append(p.accounts, newAccount(id))
		i = len(p.accounts) - 1
	}
	return p.accounts[i]
}

// told notes what an answer says that the upload is now.
func (p *play) told(a *account, state upload.State, err error) error {
	if p.fs.Dead() {
		return errDead
	}
	if err == nil {
		a.is(state)
	}
	return err
}

// errDead: the process died before it could answer.
var errDead = fmt.Errorf("no answer: %w", faultfs.ErrInjected)

func create(id upload.ID) step {
	return func(p *play) error {
		a := p.account(id)
		a.may(upload.Receiving)
		a.gives(0)
		return p.told(a, upload.Receiving, p.s.Create(a.record()))
	}
}

func declare(id upload.ID) step {
	return func(p *play) error {
		a := p.account(id)
		if err := p.s.DeclareLength(id, a.length()); err != nil || p.fs.Dead() {
			return errors.Join(err, errDead)
		}
		a.lengthTold = true
		return nil
	}
}

func complete(id upload.ID) step {
	return func(p *play) error {
		a := p.account(id)
		a.may(upload.Received)
		_, err := p.s.Complete(id)
		return p.told(a, upload.Received, err)
	}
}

func publish(id upload.ID) step {
	return func(p *play) error {
		a := p.account(id)
		a.may(upload.Ready)
		_, err := p.s.Publish(id, upload.Outcome{MediaType: "text/plain", Variants: picture})
		return p.told(a, upload.Ready, err)
	}
}

func reject(id upload.ID) step {
	return func(p *play) error {
		a := p.account(id)
		a.may(upload.Rejected)
		_, err := p.s.Reject(id, unwanted)
		return p.told(a, upload.Rejected, err)
	}
}

func terminate(id upload.ID) step {
	return func(p *play) error {
		a := p.account(id)
		a.may(upload.Terminated)
		return p.told(a, upload.Terminated, p.s.Terminate(id))
	}
}

// stop ends the process in order and begins another.
func stop(p *play) error {
	s := p.s
	p.s = nil
	if err := s.Close(); err != nil {
		return err
	}
	return p.open()
}

// kill ends the process and begins another.
func kill(p *play) error {
	p.s = nil
	return p.open()
}

// look has somebody ask how the uploads are.
func look(p *play) error {
	for _, a := range p.accounts {
		if _, err := p.s.Lookup(a.id); err != nil && !errors.Is(err, upload.ErrNotFound) {
			return err
		}
	}
	return nil
}

// chunk is a request that adds bytes up to one offset.
type chunk struct {
	to     int64
	by     int   // bytes at a time; 0: all at once
	end    error // of the source, in the place of io.EOF
	check  upload.Check
	wrong  bool  // other bytes than the upload's
	long   bool  // one byte more
	answer error // that must come
	back   bool  // it must be taken back
}

func send(id upload.ID, c chunk) step {
	return func(p *play) error {
		a := p.account(id)
		rec, err := p.s.Lookup(id)
		if err != nil {
			return err
		}
		src := &source{play: p, account: a, chunk: c, off: rec.Offset, data: bytes.Clone(a.data[rec.Offset:c.to])}
		if c.wrong {
			for i := range src.data {
				src.data[i] ^= 0xff
			}
		}
		if c.long {
			src.data = append(src.data, 'x')
		}
		if a.bad {
			a.may(upload.Rejected)
		}
		n, err := p.s.WriteChunk(id, rec.Offset, src, src.verified())
		if err := p.answered(a, c, rec.Offset, n, err); err != nil || !c.check.Whole {
			return err
		}
		_, err = p.s.Complete(id)
		return p.told(a, upload.Received, err)
	}
}

// answered holds an answer against what the chunk is.
func (p *play) answered(a *account, c chunk, off, n int64, err error) error {
	if p.fs.Dead() {
		return errDead
	}
	if n > 0 {
		a.tells(off + n)
	}
	if off+n > a.most {
		p.failf("%d bytes of %s at %d were said to count, want at most %d", n, a.id, off, a.most-off)
	}
	if errors.Is(err, faultfs.ErrInjected) {
		return err
	}
	if !errors.Is(err, c.answer) || c.answer == nil && (err != nil || off+n != c.to) || c.back && n != 0 {
		p.failf("chunk of %s at %d: got %d, %v, want %v", a.id, off, n, err, c.answer)
	}
	if c.back {
		a.takesBack(off)
	}
	if a.bad {
		a.is(upload.Rejected)
	}
	return nil
}

// source is a client's bytes as they arrive. It looks on while they do.
type source struct {
	*play
	*account
	chunk
	off  int64
	data []byte
}

func (s *source) Read(p []byte) (int, error) {
	if rec, err := s.s.Lookup(s.id); err == nil && rec.State == upload.Receiving && !s.fs.Dead() {
		if rec.Offset > s.most {
			s.failf("offset of %s was said to be %d, want at most %d", s.id, rec.Offset, s.most)
		}
		s.tells(rec.Offset)
	}
	if len(s.data) == 0 {
		if s.end != nil {
			return 0, s.end
		}
		return 0, io.EOF
	}
	if s.by > 0 {
		p = p[:min(len(p), s.by)]
	}
	n := copy(p, s.data)
	s.off, s.data = s.off+int64(n), s.data[n:]
	if !s.check.Announced {
		s.gives(min(s.off, s.length()))
	}
	return n, nil
}

// verified is the check, and what it means that it was passed.
func (s *source) verified() upload.Check {
	check := s.check
	if check.Verify == nil {
		return check
	}
	check.Verify = func(r io.Reader) error {
		err := s.check.Verify(r)
		if err == nil {
			s.gives(s.to)
		}
		return err
	}
	return check
}
