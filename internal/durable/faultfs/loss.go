package faultfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// Loss says what a power cut took and left.
type Loss struct {
	Seed uint64
	// InOrder: a change of a name is lost only with all later ones in the same and in other directories, but for those that
	// were synced. This is how a file system with a journal does it.
	InOrder bool

	undone []edit
	files  []fileLoss
}

func (l Loss) String() string {
	return fmt.Sprintf("power cut with seed %d: undone: %v; left: %v", l.Seed, l.undone, l.files)
}

// order is which changes of names a power cut leaves.
type order int

const (
	none order = iota
	all
	first // so many of them
	some  // any of them
	orders
)

// Corners is how many seeds, from 0, stand for extremes; beyond is chance.
const Corners = 5

// plan is what to lose. The first seeds are the corners.
func plan(seed uint64, dice *rand.Rand) (order, func() style) {
	corners := [Corners]struct {
		names order
		files style
	}{{none, nothing}, {all, nothing}, {all, length}, {all, everything}, {none, everything}}
	if seed < Corners {
		c := corners[seed]
		return c.names, func() style { return c.files }
	}
	return order(dice.IntN(int(orders))), func() style { return style(dice.IntN(int(styles))) }
}

// PowerCut leaves of everything that is not durable what chance, or a corner case, has it: the same for the same seed.
func (d *Disk) PowerCut(seed uint64) Loss {
	d.mu.Lock()
	defer d.mu.Unlock()
	dice := rand.New(rand.NewPCG(seed, 1))
	names, files := plan(seed, dice)
	loss := Loss{Seed: seed, InOrder: names != some}
	upTo := dice.IntN(len(d.edits) + 1)
	for i, e := range d.edits {
		if names == all || names == first && i < upTo || names == some && dice.IntN(2) == 0 {
			e.keep()
		} else {
			loss.undone = append(loss.undone, e)
		}
	}
	s := survival{loss: &loss, dice: dice, style: files, lengthLast: d.LengthLast, done: make(map[*node]*node)}
	d.root, d.edits = s.of(d.root, "."), nil
	d.boots++
	return loss
}

// survival makes new nodes of what is left, so that files which are open stay behind with the old.
type survival struct {
	loss       *Loss
	dice       *rand.Rand
	style      func() style
	lengthLast bool
	done       map[*node]*node
}

func (s *survival) of(old *node, name string) *node {
	if left := s.done[old]; left != nil {
		return left
	}
	left := &node{changed: old.changed}
	s.done[old] = left
	if old.file != nil {
		left.file = s.file(old.file, name)
		return left
	}
	left.names, left.kept = make(map[string]*node), make(map[string]*node)
	for _, base := range slices.Sorted(maps.Keys(old.kept)) {
		left.names[base] = s.of(old.kept[base], base)
	}
	maps.Copy(left.kept, left.names)
	return left
}

func (s *survival) file(c *content, name string) *content {
	how := s.style()
	left := c.survivor(how, s.lengthLast, s.dice)
	if c.dirty() {
		s.loss.files = append(s.loss.files, fileLoss{name, how, left.size, c.kept, c.size})
	}
	return left
}

// fileLoss is how a file that was not durable came out.
type fileLoss struct {
	name            string
	how             style
	left, kept, all int64
}

func (f fileLoss) String() string {
	return fmt.Sprintf("%s of %s: %d bytes, of which %d were durable and %d written", f.how, f.name, f.left, f.kept, f.all)
}
