package inbox

import (
	"hash/maphash"
	"slices"
	"time"
)

// blockSize is how many tasks are in one block.
const blockSize = 1024

// maxBlockText is how much text a block may have, in bytes, when one more is added.
const maxBlockText = 1 << 20

// maxCrowds is of how many crowds a block knows at most: each is compared with a new
// one. It is more than there are tasks.
const maxCrowds = 4 * blockSize

// A givenList is the tasks that were given and not answered, in order. There may be
// very many, so they have no pointers for the garbage collector to follow: each is
// in a block with its texts, and found by the hash of its id.
type givenList struct {
	began  time.Time // times are since then
	hash   func(id string) uint64
	at     map[uint64]uint64 // numbers, by the hashes of ids
	others map[string]uint64 // of ids whose hash another one has
	next   uint64            // number of the next task

	blocks         map[uint64]*givenBlock // by their numbers
	oldest, newest *givenBlock            // of them; each has those beside it
}

// A givenBlock is blockSize tasks in a row. It shrinks when few of them are left, and
// goes when none is.
type givenBlock struct {
	nr       uint64
	made     int        // rows that there ever were
	rows     []givenRow // in order; all of them until it has shrunk
	text     []byte
	subjects []string
	crowds   []*crowd
	left     int // tasks
	head     int // rows before it are gone

	older, newer *givenBlock
}

type givenRow struct {
	seq         uint64
	at, within  time.Duration
	text        uint32 // where id and context are
	id, context uint32 // how long they are
	subject, to uint16 // which of the block's
	nr          uint16 // in the block
	times       int32
	gone        bool
}

func newGivenList() *givenList {
	seed := maphash.MakeSeed()
	return &givenList{
		began: time.Now(), hash: func(id string) uint64 { return maphash.String(seed, id) },
		at: map[uint64]uint64{}, others: map[string]uint64{}, blocks: map[uint64]*givenBlock{},
	}
}

func (l *givenList) len() int { return len(l.at) + len(l.others) }

// row returns a task that is left.
func (l *givenList) row(n uint64) (*givenBlock, *givenRow) {
	b, nr := l.blocks[n/blockSize], int(n%blockSize) //nolint:gosec // less than blockSize
	if len(b.rows) == b.made {
		return b, &b.rows[nr]
	}
	i, _ := slices.BinarySearchFunc(b.rows, nr, func(r givenRow, nr int) int { return int(r.nr) - nr })
	return b, &b.rows[i]
}

func (b *givenBlock) number(r *givenRow) uint64 { return b.nr*blockSize + uint64(r.nr) }

func (b *givenBlock) idOf(r *givenRow) []byte { return b.text[r.text : r.text+r.id] }

// find returns the number of a task. Where it is not there, clash tells that
// another one has the hash of its id.
func (l *givenList) find(id string) (n uint64, ok, clash bool) {
	n, ok = l.at[l.hash(id)]
	if ok {
		if b, r := l.row(n); string(b.idOf(r)) == id {
			return n, true, false
		}
		n, ok = l.others[id]
		return n, ok, true
	}
	n, ok = l.others[id] // the other one may be gone
	return n, ok, false
}

// get returns a task; nil if it is not there.
func (l *givenList) get(id string) *given {
	n, ok, _ := l.find(id)
	if !ok {
		return nil
	}
	b, r := l.row(n)
	return l.task(n, b, r)
}

func (l *givenList) task(n uint64, b *givenBlock, r *givenRow) *given {
	return &given{
		n: n, seq: r.seq, id: string(b.idOf(r)), subject: b.subjects[r.subject], context: string(b.text[r.text+r.id:][:r.context]),
		at: l.began.Add(r.at), within: r.within, to: b.crowds[r.to], times: int(r.times),
	}
}

// put adds a task. One that is there keeps its place, and how often it was given.
func (l *givenList) put(g *given) {
	n, ok, clash := l.find(g.id)
	if !ok {
		n = l.nextNumber()
		if clash {
			l.others[string([]byte(g.id))] = n // it may be part of a body
		} else {
			l.at[l.hash(g.id)] = n
		}
		b := l.block(n / blockSize)
		b.rows = append(b.rows, givenRow{
			seq: g.seq, text: uint32(len(b.text)), id: uint32(len(g.id)), context: uint32(len(g.context)), //nolint:gosec // of what NATS takes in a message
			subject: b.subject(g.subject), nr: uint16(n % blockSize), //nolint:gosec // less than blockSize
		})
		b.made++
		b.text = append(append(b.text, g.id...), g.context...)
		b.left++
	}
	b, r := l.row(n)
	r.at, r.within, r.to = g.at.Sub(l.began), g.within, b.crowd(g.to)
}

// nextNumber returns the number of a new task. A block with very long texts is full
// before it has all of its tasks.
func (l *givenList) nextNumber() uint64 {
	n := l.next
	if b := l.blocks[n/blockSize]; b != nil && len(b.text) > maxBlockText {
		b.made = blockSize
		if b.left == 0 {
			l.drop(b)
		}
		n = (b.nr + 1) * blockSize
	}
	l.next = n + 1
	return n
}

// block returns a block, which is made if it is not there.
func (l *givenList) block(nr uint64) *givenBlock {
	b := l.blocks[nr]
	if b == nil {
		b = &givenBlock{nr: nr, rows: make([]givenRow, 0, blockSize), older: l.newest}
		if l.newest == nil {
			l.oldest = b
		} else {
			l.newest.newer = b
		}
		l.newest, l.blocks[nr] = b, b
	}
	return b
}

// drop forgets a block.
func (l *givenList) drop(b *givenBlock) {
	delete(l.blocks, b.nr)
	if b.older == nil {
		l.oldest = b.newer
	} else {
		b.older.newer = b.newer
	}
	if b.newer == nil {
		l.newest = b.older
	} else {
		b.newer.older = b.older
	}
}

// subject returns the index of a subject. Nearly always it is the last one.
func (b *givenBlock) subject(s string) uint16 {
	for i := len(b.subjects) - 1; i >= 0; i-- {
		if b.subjects[i] == s {
			return uint16(i) //nolint:gosec // at most blockSize
		}
	}
	b.subjects = append(b.subjects, string([]byte(s))) // it may be part of a body
	return uint16(len(b.subjects) - 1)                 //nolint:gosec // the same
}

// crowd returns the index of a crowd. There are more than tasks only where these
// are given again and again.
func (b *givenBlock) crowd(c *crowd) uint16 {
	for i := len(b.crowds) - 1; i >= 0; i-- {
		if b.crowds[i] == c {
			return uint16(i) //nolint:gosec // see below
		}
	}
	if len(b.crowds) == maxCrowds {
		b.compactCrowds()
	}
	b.crowds = append(b.crowds, c)
	return uint16(len(b.crowds) - 1) //nolint:gosec // see above
}

// compactCrowds keeps those that a task still has.
func (b *givenBlock) compactCrowds() {
	was := b.crowds
	b.crowds = nil
	for i := range b.rows {
		if r := &b.rows[i]; !r.gone {
			r.to = b.crowd(was[r.to])
		}
	}
}

// remove forgets a task, if it is there.
func (l *givenList) remove(id string) {
	n, ok, _ := l.find(id)
	if !ok {
		return
	}
	if other, is := l.others[id]; is && other == n {
		delete(l.others, id)
	} else {
		delete(l.at, l.hash(id))
	}
	b, r := l.row(n)
	r.gone = true
	switch b.left--; {
	case b.made < blockSize:
	case b.left == 0:
		l.drop(b)
	case b.left <= len(b.rows)/4:
		b.shrink()
	}
}

// shrink lets go of what the tasks have used that are gone: one that is never answered
// would keep it for all that were given with it.
func (b *givenBlock) shrink() {
	rows, text := make([]givenRow, 0, b.left), 0
	for i := range b.rows {
		if r := &b.rows[i]; !r.gone {
			rows = append(rows, *r)
			text += int(r.id + r.context)
		}
	}
	was := b.text
	b.rows, b.text, b.head = rows, make([]byte, 0, text), 0
	for i := range b.rows {
		r := &b.rows[i]
		of := was[r.text:][:r.id+r.context]
		r.text = uint32(len(b.text)) //nolint:gosec // it was longer
		b.text = append(b.text, of...)
	}
	b.compactCrowds()
}

// trim forgets the oldest beyond the bounds.
func (l *givenList) trim(now time.Time) {
	for b := l.oldest; b != nil; b = b.newer {
		for b.head < len(b.rows) {
			r := &b.rows[b.head]
			if r.gone {
				b.head++
				continue
			}
			if l.len() <= maxGiven && now.Sub(l.began)-r.at < givenFor {
				return
			}
			l.remove(string(b.idOf(r))) // which may move the others
		}
	}
}

// again notes how often a task was given again.
func (l *givenList) again(id string, times int) {
	if n, ok, _ := l.find(id); ok {
		_, r := l.row(n)
		r.times = int32(times) //nolint:gosec // bounded by the configuration
	}
}

// latest appends the sequences of the latest n tasks, as far as their subject is
// one of those, newest first.
func (l *givenList) latest(seqs []uint64, n int, of map[string]bool) []uint64 {
	for b := l.newest; b != nil; b = b.older {
		for i := len(b.rows) - 1; i >= 0; i-- {
			r := &b.rows[i]
			if r.gone {
				continue
			}
			if n == 0 {
				return seqs
			}
			if n--; of[b.subjects[r.subject]] {
				seqs = append(seqs, r.seq)
			}
		}
	}
	return seqs
}

// those returns the tasks that were given before a time and that f is true of,
// oldest first.
func (l *givenList) those(before time.Time, f func(subject string, to *crowd, times int) bool) (out []*given) {
	for b := l.oldest; b != nil; b = b.newer {
		for i := range b.rows {
			r := &b.rows[i]
			if !r.gone && !l.began.Add(r.at).After(before) && f(b.subjects[r.subject], b.crowds[r.to], int(r.times)) {
				out = append(out, l.task(b.number(r), b, r))
			}
		}
	}
	return out
}

func (c *crowd) has(id uint64) bool { return c != nil && c.ids[id] }

func (c *crowd) size() int {
	if c == nil {
		return 0
	}
	return len(c.ids)
}
