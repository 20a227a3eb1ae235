package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ringway/ringway/topology"
)

// Several events for one stamp may travel, and be stored, as one message: a
// pack. A message costs four servers and a store the same whether it holds one
// event or fifty.

// A Copy is one event on its way to another stamp, and what travels with it.
type Copy struct {
	Key      Key           // 22 characters, as KeyOf makes it
	Subject  string        // to deliver on
	Hop      uint64        // its sequence in RW_OUT of its origin
	Captured time.Time     // when its origin stored it
	Mode     string        // ModeWait, ModeClaim or ModeOffer
	Rule     string        // of the topology, that sent it here
	Within   time.Duration // how long to look for a plane; 0 is as long as it takes
	Attempt  int           // of ModeClaim, from 1; else 0
	Trace    string        // traceparent; empty if nothing is traced
	Body     []byte
}

// Bounds of a pack. Its subject holds the keys of its events and must fit into
// a line of NATS's protocol, which servers bound at 4,096 bytes.
const (
	MaxPack      = 128       // events
	MaxPackBytes = 128 << 10 // of the message, unless one event alone is longer
)

// keyLen is the length of a Key.
const keyLen = 22

const (
	packToken = "pack"
	packPlain = 1 // the first byte of a pack
	packS2    = 2 // and of one whose rest is a block of S2
)

// Packable reports whether c may travel with others. An offer may not: the store
// tells the offers of one task apart.
func (c *Copy) Packable() bool { return c.Attempt == 0 && len(c.Key) == keyLen }

// Packed returns how many bytes c takes in a pack, at most.
func (c *Copy) Packed() int {
	return len(c.Subject) + len(c.Mode) + len(c.Rule) + len(c.Trace) + len(c.Body) + 8*binary.MaxVarintLen32 + keyLen
}

// PackSubject is where from publishes a pack for to. It names the events by
// their keys, so that the store refuses the same pack a second time, and whoever
// lists the subjects of a store knows what it has without reading it.
func PackSubject(to, from topology.StampID, copies []*Copy) string {
	var b strings.Builder
	b.Grow(len(prefix) + len(to) + len(from) + 16 + keyLen*len(copies))
	b.WriteString(EventSubject(to, from, packToken))
	b.WriteByte('.')
	b.WriteString(packShard(copies[0].Key))
	b.WriteByte('.')
	for _, c := range copies {
		b.WriteString(c.Key)
	}
	return b.String()
}

// packShard spreads packs over PackShards, so that a list of their subjects can
// be had in parts.
func packShard(k Key) string { return string(rune('a' + k[0]%packShards)) }

const packShards = 16

// PacksFor returns subjects that together match every pack sent to stamp to,
// each a part of them.
func PacksFor(to topology.StampID) []string {
	out := make([]string, packShards)
	for i := range out {
		out[i] = EventSubject(to, "*", packToken+"."+string(rune('a'+i))+".*")
	}
	return out
}

// SinglesFor matches every event that was sent to stamp to by itself, and the
// second one the second and later offers of a task.
func SinglesFor(to topology.StampID) [2]string {
	s := EventSubject(to, "*", "*")
	return [2]string{s, s + ".*"}
}

// PackKeys returns the keys of a pack, whose subject ends in rest; false if that
// is the subject of no pack.
func PackKeys(rest string) ([]Key, bool) {
	part := strings.Split(rest, ".")
	if len(part) != 3 || part[0] != packToken || len(part[2]) == 0 || len(part[2])%keyLen != 0 {
		return nil, false
	}
	keys := make([]Key, 0, len(part[2])/keyLen)
	for s := part[2]; s != ""; s = s[keyLen:] {
		keys = append(keys, s[:keyLen])
	}
	return keys, len(keys) <= MaxPack
}

// AppendPack appends the body of a pack to b.
//
//	1, number of events, and of each: hop, captured (Unix nanoseconds), subject,
//	mode, rule, within (nanoseconds), traceparent, body
//
// Numbers are unsigned varints, and texts begin with their length. [Pack] makes it shorter.
func AppendPack(b []byte, copies []*Copy) []byte {
	b = append(b, packPlain)
	b = binary.AppendUvarint(b, uint64(len(copies)))
	for _, c := range copies {
		b = binary.AppendUvarint(b, c.Hop)
		b = binary.AppendUvarint(b, uint64(max(0, c.Captured.UnixNano()))) //nolint:gosec // not negative
		b = appendText(b, c.Subject)
		b = appendText(b, c.Mode)
		b = appendText(b, c.Rule)
		b = binary.AppendUvarint(b, uint64(c.Within)) //nolint:gosec // not negative
		b = appendText(b, c.Trace)
		b = appendText(b, c.Body)
	}
	return b
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// ErrPack reports a pack that cannot be read. It is permanent.
var ErrPack = errors.New("not a pack of events")

// Unpack returns the events of a pack. Their bodies are parts of data, unless that is
// compressed. Every error wraps ErrPack.
func Unpack(keys []Key, data []byte) ([]Copy, error) {
	data, err := unpacked(data)
	if err != nil {
		return nil, err
	}
	u := unpacker{data: data}
	if n := u.number(); n != uint64(len(keys)) {
		return nil, fmt.Errorf("%w: it holds %d, its subject names %d", ErrPack, n, len(keys))
	}
	out := make([]Copy, len(keys))
	for i := range out {
		out[i] = Copy{
			Key: keys[i], Hop: u.number(), Captured: time.Unix(0, u.signed()).UTC(),
			Subject: u.word(), Mode: u.word(), Rule: u.word(),
			Within: time.Duration(u.signed()), Trace: u.word(), Body: u.text(),
		}
	}
	switch {
	case u.short:
		return nil, fmt.Errorf("%w: it ends too soon", ErrPack)
	case len(u.data) > 0:
		return nil, fmt.Errorf("%w: %d bytes too many", ErrPack, len(u.data))
	}
	return out, nil
}

// An unpacker reads from the front of data. What is missing reads as empty.
type unpacker struct {
	data  []byte
	short bool
	words [4]string
	next  int
}

func (u *unpacker) number() uint64 {
	v, n := binary.Uvarint(u.data)
	if n <= 0 {
		u.short, u.data = true, nil
		return 0
	}
	u.data = u.data[n:]
	return v
}

func (u *unpacker) signed() int64 {
	v := u.number()
	if v > math.MaxInt64 {
		u.short = true
		return 0
	}
	return int64(v)
}

func (u *unpacker) text() []byte {
	n := u.number()
	if n > uint64(len(u.data)) {
		u.short, u.data = true, nil
		return nil
	}
	s := u.data[:n:n]
	u.data = u.data[n:]
	return s
}

// word reads a text of which the events of a pack have few different ones.
func (u *unpacker) word() string {
	b := u.text()
	for _, w := range u.words {
		if w == string(b) { // the compiler makes no copy for this
			return w
		}
	}
	w := string(b)
	u.words[u.next%len(u.words)] = w
	u.next++
	return w
}
