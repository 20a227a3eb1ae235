package journal

import (
	"encoding/binary"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// The names of an event that a row has.
const (
	nameID = iota
	nameType
	nameContext
	nameTriggered
	nameProject
	nameStage
	nameService
	nameSource
	names
)

// What a row is found by. Each row is in a chain of each of them.
const (
	byID = iota
	byTriggered
	byContext
	indexes
)

// found says which name each index is over.
var found = [indexes]int{byID: nameID, byTriggered: nameTriggered, byContext: nameContext}

const (
	maxName   = 255 // a name is cut there, in bytes
	maxDetail = 400 // the same of what is for people
	maxTried  = 32  // lines
	// maxTargets bounds the stamps that a step names. A topology has no more; a step
	// is found by each of them.
	maxTargets = 2000
	// maxText is how much text a chunk may have room for when it is used again:
	// one that was full of long names does not keep all of that.
	maxText = 512 << 10
)

// A row is one step. Its texts are in the chunk, so that it has no pointers: the
// garbage collector need not look at a journal.
type row struct {
	at, until    int64 // Unix nanoseconds; until 0: not known
	about, text  uint32
	lens         [names]uint8
	peer, reason uint8 // lengths
	step         uint8 // of steps
	detail       uint16
	n, of        int32
	next         [indexes]uint16 // the one before with the same hash, from 1
	tried        uint8           // lines
	targets      uint16
}

// A chunk is a part of a journal that is used again as a whole. It has an index
// of its own, so nothing has to be taken out of one.
type chunk struct {
	base  uint64 // number of its first row
	rows  []row
	text  []byte
	heads [indexes][]uint16 // the last row of each bucket, from 1; a power of two of them
}

func newChunk(n int) *chunk {
	c := &chunk{rows: make([]row, 0, n)}
	buckets := 1
	for buckets < n {
		buckets *= 2
	}
	for i := range c.heads {
		c.heads[i] = make([]uint16, buckets)
	}
	return c
}

// reset empties c.
func (c *chunk) reset(base uint64) {
	c.base, c.rows, c.text = base, c.rows[:0], c.text[:0]
	if cap(c.text) > maxText {
		c.text = nil
	}
	for i := range c.heads {
		clear(c.heads[i])
	}
}

func (c *chunk) full() bool { return len(c.rows) == cap(c.rows) }

// add puts in one step. hashes are those of the names that it is found by; 0 is
// of an empty one.
func (c *chunk) add(m *bridge.Moment, at int64, step uint8, hashes [indexes]uint64, before earlier) {
	c.rows = append(c.rows, row{at: at, step: step, n: int32(m.N), of: int32(m.Of)}) //nolint:gosec // small counts
	r := &c.rows[len(c.rows)-1]
	if !m.Until.IsZero() {
		r.until = m.Until.UnixNano()
	}
	c.name(r, &m.About, hashes[byID], before)
	r.text = uint32(len(c.text)) //nolint:gosec // bounded by the rows
	r.peer = c.put(string(m.Peer))
	r.reason = c.put(string(m.Reason))
	detail := clip(m.Detail, maxDetail)
	r.detail = uint16(len(detail)) //nolint:gosec // clipped
	c.text = append(c.text, detail...)
	c.lists(r, m)
	for i, h := range hashes {
		if h == 0 {
			continue
		}
		head := &c.heads[i][h%uint64(len(c.heads[i]))]
		r.next[i] = *head
		*head = uint16(len(c.rows)) //nolint:gosec // not more than maxChunk
	}
}

// earlier finds the last row about an event in the chunks before this one.
type earlier func(hash uint64, id, typ string) (*chunk, *row)

// name stores what an event is called, or finds it with the row before that is
// about the same. Of one that is named in brief the rest is taken from there.
func (c *chunk) name(r *row, a *bridge.About, hash uint64, before earlier) {
	all := [names]string{
		nameID: a.ID, nameType: a.Type, nameContext: a.Context, nameTriggered: a.Triggered,
		nameProject: a.Project, nameStage: a.Stage, nameService: a.Service, nameSource: a.Source,
	}
	brief := a.Brief()
	if was := c.last(hash, a.ID, a.Type); was != nil && (brief || c.is(was, &all)) {
		r.about, r.lens = was.about, was.lens
		return
	}
	if brief && before != nil {
		if o, was := before(hash, a.ID, a.Type); was != nil {
			r.about, r.lens = uint32(len(c.text)), was.lens //nolint:gosec // bounded by the rows
			c.text = append(c.text, o.namesOf(was)...)
			return
		}
	}
	r.about = uint32(len(c.text)) //nolint:gosec // bounded by the rows
	for i, s := range all {
		r.lens[i] = c.put(s)
	}
}

// last returns the last row about the event with an id and type, if its hash was
// not met since; nil if there is none.
func (c *chunk) last(hash uint64, id, typ string) *row {
	if hash == 0 {
		return nil
	}
	i := c.heads[byID][hash%uint64(len(c.heads[byID]))]
	if i == 0 {
		return nil
	}
	r := &c.rows[i-1]
	if string(c.nameOf(r, nameID)) != clip(id, maxName) || string(c.nameOf(r, nameType)) != clip(typ, maxName) {
		return nil
	}
	return r
}

// namesOf returns all names of a row.
func (c *chunk) namesOf(r *row) []byte {
	n := 0
	for _, l := range r.lens {
		n += int(l)
	}
	return c.text[r.about : int(r.about)+n]
}

// is reports whether a row has these names.
func (c *chunk) is(r *row, all *[names]string) bool {
	at := int(r.about)
	for i, s := range all {
		end := at + int(r.lens[i])
		if string(c.text[at:end]) != clip(s, maxName) {
			return false
		}
		at = end
	}
	return true
}

// put appends a name to the text and returns how long it is.
func (c *chunk) put(s string) uint8 {
	s = clip(s, maxName)
	c.text = append(c.text, s...)
	return uint8(len(s)) //nolint:gosec // clipped
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

// lists stores the lines and the targets of a step, each text with its length
// before it.
func (c *chunk) lists(r *row, m *bridge.Moment) {
	for _, line := range m.Tried[:min(len(m.Tried), maxTried)] {
		line = clip(line, maxDetail)
		c.text = append(binary.LittleEndian.AppendUint16(c.text, uint16(len(line))), line...) //nolint:gosec // clipped
		r.tried++
	}
	for _, t := range m.Targets[:min(len(m.Targets), maxTargets)] {
		for _, s := range [...]string{string(t.Stamp), t.Rule} {
			s = clip(s, maxName)
			c.text = append(append(c.text, uint8(len(s))), s...) //nolint:gosec // clipped
		}
		r.targets++
	}
}

// listsAt reads what lists has stored at a place.
func (c *chunk) listsAt(r *row, at int) (tried []string, targets []Target) {
	for range r.tried {
		n := int(binary.LittleEndian.Uint16(c.text[at:]))
		tried = append(tried, string(c.text[at+2:at+2+n]))
		at += 2 + n
	}
	name := func() string {
		n := int(c.text[at])
		s := string(c.text[at+1 : at+1+n])
		at += 1 + n
		return s
	}
	for range r.targets {
		stamp := name()
		targets = append(targets, Target{Stamp: topology.StampID(stamp), Rule: name()})
	}
	return tried, targets
}

// nameOf returns one of a row's names, as a part of the text.
func (c *chunk) nameOf(r *row, name int) []byte {
	at := int(r.about)
	for _, n := range r.lens[:name] {
		at += int(n)
	}
	return c.text[at : at+int(r.lens[name])]
}

// collect appends the numbers of the rows that one index has under a name.
func (c *chunk) collect(out []int, index int, hash uint64, name string) []int {
	for i := c.heads[index][hash%uint64(len(c.heads[index]))]; i != 0; i = c.rows[i-1].next[index] {
		if string(c.nameOf(&c.rows[i-1], found[index])) == name {
			out = append(out, int(i)-1)
		}
	}
	return out
}

// entry returns a row as others see it.
func (c *chunk) entry(i int) Entry {
	r := &c.rows[i]
	e := Entry{
		Time: time.Unix(0, r.at).UTC(), Step: steps[r.step], N: int(r.n), Of: int(r.of),
		ID: string(c.nameOf(r, nameID)), Type: string(c.nameOf(r, nameType)),
		Context: string(c.nameOf(r, nameContext)), Triggered: string(c.nameOf(r, nameTriggered)),
		Project: string(c.nameOf(r, nameProject)), Stage: string(c.nameOf(r, nameStage)),
		Service: string(c.nameOf(r, nameService)), Source: string(c.nameOf(r, nameSource)),
		seq: c.base + uint64(i), //nolint:gosec // not negative
	}
	if r.until != 0 {
		e.Until = time.Unix(0, r.until).UTC()
	}
	at := int(r.text)
	e.Peer = topology.StampID(c.text[at : at+int(r.peer)])
	at += int(r.peer)
	e.Reason = bridge.Reason(c.text[at : at+int(r.reason)])
	at += int(r.reason)
	e.Detail = string(c.text[at : at+int(r.detail)])
	e.Tried, e.Targets = c.listsAt(r, at+int(r.detail))
	return e
}
