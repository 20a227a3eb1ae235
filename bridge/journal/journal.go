package journal

import (
	"crypto/rand"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// Bounds of a chunk, in rows.
const (
	minChunk = 64
	maxChunk = 1024
)

// DefaultSize is how many steps a journal keeps unless told otherwise: of some
// ten thousand events, in about 15 MB.
const DefaultSize = 1 << 16

// steps numbers the steps.
var steps = bridge.Steps()

// A Journal keeps the last steps of the events of one gateway. It is safe for
// concurrent use.
type Journal struct {
	me      topology.StampID
	replica string
	epoch   string
	seed    maphash.Seed
	size    int // rows of a chunk
	most    int // chunks

	numbers map[bridge.Step]uint8
	before  earlier // find, made once

	mu     sync.RWMutex // guards the following fields
	chunks []*chunk     // the last one is at cur
	cur    int
	next   uint64 // number of the next row
}

// New returns a journal of a stamp's replica that keeps the last size steps, or
// up to a tenth more. It takes memory as it fills.
func New(me topology.StampID, replica string, size int) *Journal {
	j := &Journal{
		me: me, replica: replica, epoch: strings.ToLower(rand.Text()), seed: maphash.MakeSeed(),
		size: min(max(size/10, minChunk), maxChunk), numbers: map[bridge.Step]uint8{},
	}
	j.most = (size+j.size-1)/j.size + 1
	j.before = j.find
	for i, s := range steps {
		j.numbers[s] = uint8(i) //nolint:gosec // some twenty
	}
	return j
}

// Note adds a step. It is a bridge.Scribe.
func (j *Journal) Note(m bridge.Moment) {
	step, ok := j.numbers[m.Step]
	if !ok {
		return
	}
	if m.At.IsZero() {
		m.At = time.Now()
	}
	hashes := [indexes]uint64{byID: j.hash(m.About.ID), byTriggered: j.hash(m.About.Triggered), byContext: j.hash(m.About.Context)}
	j.mu.Lock()
	j.room().add(&m, m.At.UnixNano(), step, hashes, j.before)
	j.next++
	j.mu.Unlock()
}

var _ bridge.Scribe = (*Journal)(nil).Note

// find finds the last row about an event. The caller holds mu.
func (j *Journal) find(hash uint64, id, typ string) (*chunk, *row) {
	for i := range len(j.chunks) {
		c := j.chunks[(j.cur-i+len(j.chunks))%len(j.chunks)]
		if r := c.last(hash, id, typ); r != nil {
			return c, r
		}
	}
	return nil, nil
}

// hash is 0 of nothing, and else not.
func (j *Journal) hash(name string) uint64 {
	if name == "" {
		return 0
	}
	return maphash.String(j.seed, clip(name, maxName)) | 1<<63
}

// room returns a chunk with room for a row. The caller holds mu.
func (j *Journal) room() *chunk {
	if len(j.chunks) > 0 && !j.chunks[j.cur].full() {
		return j.chunks[j.cur]
	}
	if len(j.chunks) < j.most {
		c := newChunk(j.size)
		c.base = j.next
		j.chunks = append(j.chunks, c)
		j.cur = len(j.chunks) - 1
		return c
	}
	j.cur = (j.cur + 1) % len(j.chunks)
	c := j.chunks[j.cur]
	c.reset(j.next)
	return c
}

// each calls f with every chunk, oldest first. The caller holds mu.
func (j *Journal) each(f func(*chunk) bool) {
	for i := range j.chunks {
		if !f(j.chunks[(j.cur+1+i)%len(j.chunks)]) {
			return
		}
	}
}

// About returns the last steps of the events with this id or shkeptncontext, and
// of answers to the task with this id, oldest first and at most limit. more says
// that there are others before them.
func (j *Journal) About(match string, limit int) (out []Entry, more bool) {
	match = clip(match, maxName)
	hash := j.hash(match)
	if hash == 0 {
		return nil, false
	}
	j.mu.RLock()
	j.each(func(c *chunk) bool {
		var rows []int
		for i := range indexes {
			rows = c.collect(rows, i, hash, match)
		}
		slices.Sort(rows)
		for _, r := range slices.Compact(rows) {
			out = append(out, c.entry(r))
		}
		if n := len(out) - limit; n > 0 {
			out, more = slices.Delete(out, 0, n), true
		}
		return true
	})
	j.mu.RUnlock()
	out, cut := Newest(out, MaxAnswer)
	j.sign(out)
	return out, more || cut
}

// MaxAnswer bounds what is told at once, in bytes: a NATS message with it fits a
// server's limit.
const MaxAnswer = 512 << 10

// Newest returns the last of all that have together not more than size bytes, and
// whether some are left out.
func Newest(all []Entry, size int) (out []Entry, cut bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if size -= all[i].size(); size < 0 {
			return all[i+1:], true
		}
	}
	return all, false
}

// size is about how long e is as JSON, in bytes.
func (e *Entry) size() int {
	n := 600 + len(e.ID) + 2*len(e.Type) + len(e.Context) + len(e.Triggered) + 2*len(e.Source) + 2*len(e.Detail) + 2*len(e.Place())
	for _, t := range e.Tried {
		n += 2*len(t) + 8
	}
	return n + 100*len(e.Targets)
}

// A Place is how far somebody has read a journal.
type Place struct {
	Epoch string    `json:"epoch"` // of the process; empty: nothing was read yet
	Next  uint64    `json:"next"`
	At    time.Time `json:"at"` // of the last step that was there
}

// After returns at most limit steps that f lets through, from a place on, and the
// place behind them. Whoever has read nothing yet, or a journal of before a
// restart, begins at the end, or back entries before it. missed counts the steps
// that are forgotten already.
func (j *Journal) After(from Place, f Filter, back, limit int) (out []Entry, next Place, missed uint64) {
	j.mu.RLock()
	if from.Epoch != j.epoch {
		from.Next = j.next - min(j.next, uint64(max(back, 0))) //nolint:gosec // not negative
		if from.Epoch != "" {
			from.Next = 0 // another process: what it has since then is new
		}
	} else {
		from.At = time.Time{}
	}
	if oldest := j.oldest(); from.Next < oldest {
		if from.Epoch == j.epoch {
			missed = oldest - from.Next
		}
		from.Next = oldest
	}
	next = Place{Epoch: j.epoch, Next: max(j.next, from.Next), At: time.Now().UTC()}
	room := MaxAnswer
	j.each(func(c *chunk) bool {
		for i := range c.rows {
			if c.base+uint64(i) < from.Next || c.rows[i].at < from.At.UnixNano() && !from.At.IsZero() || !f.lets(c, &c.rows[i]) { //nolint:gosec // not negative
				continue
			}
			e := c.entry(i)
			if room -= e.size(); len(out) == limit || room < 0 {
				next.Next = c.base + uint64(i) //nolint:gosec // not negative
				return false
			}
			out = append(out, e)
		}
		return true
	})
	j.mu.RUnlock()
	j.sign(out)
	return out, next, missed
}

// oldest returns the number of the oldest row. The caller holds mu.
func (j *Journal) oldest() uint64 {
	oldest := j.next
	j.each(func(c *chunk) bool { oldest = min(oldest, c.base); return true })
	return oldest
}

// Since returns when the oldest step was that is remembered; zero if there is
// none.
func (j *Journal) Since() time.Time {
	j.mu.RLock()
	defer j.mu.RUnlock()
	var at time.Time
	j.each(func(c *chunk) bool {
		if len(c.rows) > 0 {
			at = time.Unix(0, c.rows[0].at).UTC()
			return false
		}
		return true
	})
	return at
}

// Steps counts the steps that were ever noted.
func (j *Journal) Steps() uint64 {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.next
}

// sign says whose entries these are, and what they mean.
func (j *Journal) sign(all []Entry) {
	for i := range all {
		all[i].Stamp, all[i].Replica = j.me, j.replica
		all[i].Say()
	}
}
