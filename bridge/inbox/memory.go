package inbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// A memory knows the keys that are in RW_IN and who sent each first. The stream
// refuses a second message of the same subject; the memory tells an event that
// comes once more in another one: from another stamp, or in another pack. It is
// safe for concurrent use.
//
// Only what was accepted counts as an event that came before, or a stamp that
// knows the id of another one's event could have it dropped. What a run has
// accepted is known to be. What is noted from subjects at the start is not, and is
// read when the key comes again: see genuine.
type memory struct {
	stream jetstream.Stream
	me     topology.StampID

	mu     sync.RWMutex // guards the following fields
	keys   map[bridge.Digest]knownKey
	stamps []topology.StampID         // that sent something
	packs  []string                   // subjects of the packs that were there at the start
	twice  map[bridge.Digest][]string // subjects of keys that were in several messages then
	last   uint64                     // message of then
	no     map[place]struct{}         // up to that one, what this run has refused
}

// A knownKey is where an event was met first. It has no pointers: there is one
// for each event of a day, and the garbage collector need not look at them.
type knownKey struct {
	at   place // at the latest
	from int32 // which of the memory's stamps
	pack int32 // single, met, or which of the memory's packs it is in; only met says that at is its place
}

// Values of knownKey.pack that are no index.
const (
	single = -1 // in a message of its own
	met    = -2 // at its place, and it came in a pack or in several messages
)

// remember reads the keys of a stream. It returns when all are read: some
// hundred thousand take about a second.
func remember(ctx context.Context, s jetstream.Stream, me topology.StampID) (*memory, error) {
	m := &memory{stream: s, me: me, keys: map[bridge.Digest]knownKey{}, twice: map[bridge.Digest][]string{}, no: map[place]struct{}{}}
	of := bridge.SinglesFor(me)
	for _, filter := range append(bridge.PacksFor(me), of[:]...) {
		info, err := jstream.Ask(ctx, func(ctx context.Context) (*jetstream.StreamInfo, error) {
			return s.Info(ctx, jetstream.WithSubjectFilter(filter))
		})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", StreamIn, err)
		}
		m.last = info.State.LastSeq
		end := endOf(m.last)
		for subject := range info.State.Subjects {
			m.read(subject, end)
		}
	}
	return m, nil
}

// read takes note of a message that is in the stream.
func (m *memory) read(subject string, end place) {
	_, from, rest, _ := bridge.Address(subject)
	keys, packed := bridge.PackKeys(rest)
	if !packed {
		key, _, _ := strings.Cut(rest, ".")
		m.add(key, subject, knownKey{from: m.stamp(from), at: end, pack: single})
		return
	}
	m.packs = append(m.packs, subject)
	for _, key := range keys {
		m.add(key, subject, knownKey{from: m.stamp(from), at: end, pack: int32(len(m.packs) - 1)}) //nolint:gosec // fits memory
	}
}

// add takes note of a key. Where it is in several messages, all but the offers of
// one stamp have to be looked at to find the first.
func (m *memory) add(key bridge.Key, subject string, k knownKey) {
	d := bridge.DigestOf(key)
	was, known := m.keys[d]
	if !known {
		m.keys[d] = k
		return
	}
	if was.pack == single && k.pack == single && was.from == k.from {
		return // offers of one task
	}
	if len(m.twice[d]) == 0 {
		m.twice[d] = []string{m.subjectOf(key, was)}
	}
	m.twice[d] = append(m.twice[d], subject)
}

// stamp returns the number of a stamp. The caller holds mu, or has m alone.
func (m *memory) stamp(id topology.StampID) int32 {
	i := slices.Index(m.stamps, id)
	if i < 0 {
		i = len(m.stamps)
		m.stamps = append(m.stamps, id)
	}
	return int32(i) //nolint:gosec // some hundred
}

// subjectOf matches the message that holds a key.
func (m *memory) subjectOf(key bridge.Key, k knownKey) string {
	if k.pack >= 0 {
		return m.packs[k.pack]
	}
	return bridge.EventSubject(m.me, m.stamps[k.from], key) // another stamp's may be before it, and forged
}

// slot returns where an event is noted that was met. The key of what is none of
// Keptn's is what its publisher says, so it must not stand for an event of Keptn's.
func slot(key bridge.Key, custom bool) bridge.Digest {
	if custom {
		return bridge.DigestOf("custom " + key)
	}
	return bridge.DigestOf(key)
}

// repeated reports whether the same event came before a.
func (m *memory) repeated(ctx context.Context, a arrival) (bool, error) {
	k, several, known := m.meet(a)
	switch {
	case !known:
		return false, nil
	case m.sentBy(k) == a.from && (a.attempt > 1 || k.pack == single && !a.packed && !several):
		return false, nil // the stream itself refuses a second copy, and an offer is no copy
	case k.pack == met:
		return k.at < a.seq, nil
	}
	custom := !isKeptns(a.subject)
	first, err := m.first(ctx, a.key, custom, k)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if first.at >= a.seq { // nothing comes before it, or what did is gone
		first = knownKey{from: m.stamp(a.from), at: a.seq, pack: met}
	}
	// Also what came while the stream was read, and is not among its keys, has its
	// place from now on.
	d := slot(a.key, custom)
	m.keys[d] = first
	delete(m.twice, d)
	return first.at < a.seq, nil
}

// refused takes note that a does not count, if it was there at the start. What came
// later is not known before it is accepted.
func (m *memory) refused(a arrival) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if seqOf(a.seq) <= m.last {
		m.no[a.seq] = struct{}{}
	}
}

func (m *memory) sentBy(k knownKey) topology.StampID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.stamps[k.from]
}

// meet returns what is known of a's key, and whether that was in several messages
// at the start, and takes note of it if nothing is.
func (m *memory) meet(a arrival) (k knownKey, several, known bool) {
	d := bridge.DigestOf(a.key)
	at, custom := d, !isKeptns(a.subject)
	if custom {
		at = slot(a.key, true)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, known = m.keys[at]; !known && custom {
		k, known = m.keys[d] // as it was noted at the start
		known = known && k.pack != met
	}
	if !known {
		k = knownKey{from: m.stamp(a.from), at: a.seq, pack: single}
		if a.packed {
			k.pack = met
		}
		m.keys[at] = k
	}
	return k, len(m.twice[d]) > 0, known
}

// first returns where the first event with a key is, or the first message that is
// none of Keptn's; nowhere if it is in the stream no more.
func (m *memory) first(ctx context.Context, key bridge.Key, custom bool, k knownKey) (knownKey, error) {
	if k.pack == met {
		return k, nil
	}
	m.mu.RLock()
	subjects := slices.Clone(m.twice[bridge.DigestOf(key)])
	if len(subjects) == 0 {
		subjects = []string{m.subjectOf(key, k)}
	}
	m.mu.RUnlock()
	first := knownKey{from: k.from, at: nowhere, pack: met}
	for _, subject := range subjects {
		raw, err := jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return m.stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(subject))
		})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return first, fmt.Errorf("look up event in %s: %w", StreamIn, err)
		}
		all := readMessage(raw.Subject, raw.Header, raw.Data, raw.Sequence)
		m.mu.Lock()
		for _, a := range all {
			if a.key == key && isKeptns(a.subject) != custom && a.seq < first.at && m.genuine(a) {
				first.at, first.from = a.seq, m.stamp(a.from)
				break
			}
		}
		m.mu.Unlock()
	}
	return first, nil
}

// genuine reports whether a stored event counts as one that came before. It does
// not if it can be seen to be forged, or if this run has refused it. Whether its
// sender may send it as the topology is now does not matter: if that has changed
// since, it may have been delivered, and would be a second time. So of a stamp that
// sends the very event of another one, in its own name, before that one does, and
// then sees this stamp start between the two, the event counts. The caller holds mu.
func (m *memory) genuine(a arrival) bool {
	if _, no := m.no[a.seq]; no {
		return false
	}
	_, why := a.event()
	return why == bridge.ReasonNone
}

// nowhere is behind every place.
const nowhere = ^place(0)

// packed returns who sent the event with a key first, and its place, if it came in
// a pack or in several messages.
func (m *memory) packed(ctx context.Context, key bridge.Key) (from topology.StampID, at place, ok bool, err error) {
	for _, custom := range [...]bool{false, true} {
		m.mu.RLock()
		k, known := m.keys[slot(key, custom)]
		if !known {
			k, known = m.keys[bridge.DigestOf(key)]
		}
		several := len(m.twice[bridge.DigestOf(key)]) > 0
		m.mu.RUnlock()
		if !known || k.pack == single && !several {
			continue
		}
		first, err := m.first(ctx, key, custom, k)
		if err != nil || first.at != nowhere {
			return m.sentBy(first), first.at, err == nil, err
		}
	}
	return "", 0, false, nil
}

// forget forgets what is not in the stream any more: everything before a message.
func (m *memory) forget(before uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, k := range m.keys {
		if seqOf(k.at) < before {
			delete(m.keys, key)
			delete(m.twice, key)
		}
	}
	maps.DeleteFunc(m.no, func(p place, _ struct{}) bool { return seqOf(p) < before })
}
