package catch

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
)

// What a replica has heard depends on when it started. One that becomes active
// and stored what it has, while another has earlier events that nobody stored,
// would break their order. So it asks the others first what they have that it
// has not, and puts that where it belongs.

// gather begins the subject on which a replica asks; its name follows. The body
// is hashes of what it has, in several messages if they are many.
const gather = "lead.gather."

const (
	// gatherTime is how long the others are waited for.
	gatherTime = 300 * time.Millisecond
	// perPart is how many hashes one message holds.
	perPart = 16 << 10
)

// Headers of questions and answers.
const (
	headerMore    = "Ringway-Catch-More"    // another part of the question follows
	headerEnd     = "Ringway-Catch-End"     // the last message of an answer
	headerSubject = "Ringway-Catch-Subject" // of the event
	headerReply   = "Ringway-Catch-Reply"   // of who published it
	headerBefore  = "Ringway-Catch-Before"  // hash of the next of its order that the asker has
	headerHash    = "Ringway-Catch-Hash"    // of the event
	headerAge     = "Ringway-Catch-Age"     // for how long it is known
)

// onItsWay is for how long an event that one replica has heard may still be on
// its way to another.
const onItsWay = 2 * time.Second

// A question asks for what the asker has not.
type question struct {
	reply string
	has   []hash
	more  bool
}

// A handed is one message of an answer.
type handed struct {
	it     *item // nil: it was the last one
	before hash
	next   bool // before is set
	fresh  bool // it may come from its publisher yet
}

// ask asks the others for what they have, before anything is stored.
func (l *loop) ask(now time.Time) {
	l.gathering, l.ends = time.Time{}, 0
	if !l.active || l.others() == 0 {
		return
	}
	l.gathering = now.Add(gatherTime)
	var has []byte
	parts := [][]byte{}
	for h, same := range l.byHash {
		for range same {
			has = append(has, h[:]...)
		}
		if len(has) >= perPart*len(h) {
			parts, has = append(parts, has), nil
		}
	}
	for i, p := range append(parts, has) {
		m := &nats.Msg{Subject: gather + l.cfg.Name, Reply: l.gathered, Data: p, Header: nats.Header{}}
		if i < len(parts) {
			m.Header.Set(headerMore, "1")
		}
		_ = l.cfg.Relay.PublishMsg(m) // without an answer it goes on after a while
	}
}

// gathers reports whether nothing is to be stored yet.
func (l *loop) gathers(now time.Time) bool { return now.Before(l.gathering) }

// answer hands over what the asker has not, each order from its beginning.
func (l *loop) answer(q question) {
	if len(l.questions) > 100 {
		clear(l.questions) // of askers that died in the middle
	}
	has := l.questions[q.reply]
	if has == nil {
		has = map[hash]int{}
		l.questions[q.reply] = has
	}
	for _, h := range q.has {
		has[h]++
	}
	if q.more {
		return
	}
	delete(l.questions, q.reply)
	n := 0
	for _, queue := range l.queues {
		var next *item
		var missing []*nats.Msg
		for _, it := range slices.Backward(queue) { // so that the next one that the asker has is known
			if has[it.hash] > 0 {
				has[it.hash]--
				next = it
				continue
			}
			missing = append(missing, handOver(it, q.reply, next))
		}
		for _, m := range slices.Backward(missing) {
			_ = l.cfg.Relay.PublishMsg(m) // what is lost is stored by this replica, later
			n++
		}
	}
	if n > 0 {
		l.cfg.Log.Info("events handed to the active replica", "n", n)
	}
	_ = l.cfg.Relay.PublishMsg(&nats.Msg{Subject: q.reply, Header: nats.Header{headerEnd: {l.cfg.Name}}}) // the asker does not wait for long
}

func handOver(it *item, to string, next *item) *nats.Msg {
	m := &nats.Msg{Subject: to, Data: it.msg.Data, Header: nats.Header{}}
	for k, v := range it.msg.Header {
		m.Header[k] = v
	}
	m.Header.Set(headerSubject, strings.TrimPrefix(it.msg.Subject, bridge.StorePrefix))
	m.Header.Set(headerReply, it.reply)
	m.Header.Set(headerHash, hex.EncodeToString(it.hash[:]))
	m.Header.Set(headerAge, time.Since(it.at).String())
	if next != nil {
		m.Header.Set(headerBefore, hex.EncodeToString(next.hash[:]))
	}
	return m
}

// received reads one message of an answer.
func received(m *nats.Msg) (handed, bool) {
	if m.Header.Get(headerEnd) != "" {
		return handed{}, true
	}
	subject := m.Header.Get(headerSubject)
	own, ok := hashOf(m.Header.Get(headerHash))
	if !ok || subject == "" {
		return handed{}, false
	}
	var h handed
	h.before, h.next = hashOf(m.Header.Get(headerBefore))
	age, err := time.ParseDuration(m.Header.Get(headerAge))
	if err != nil {
		return handed{}, false
	}
	h.fresh = age < onItsWay
	m.Reply = m.Header.Get(headerReply)
	for _, k := range []string{headerSubject, headerReply, headerBefore, headerHash, headerAge} {
		m.Header.Del(k)
	}
	h.it = newItem(subject, m)
	h.it.hash, h.it.at = own, h.it.at.Add(-age)
	return h, true
}

func hashOf(text string) (h hash, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) {
		return hash{}, false
	}
	return hash(b), true
}

// insert puts what another replica has handed over where it belongs: before the
// next of its order that both have, or, if they have none, before what was heard
// later.
func (l *loop) insert(h handed) {
	if h.it == nil {
		if l.ends++; l.ends >= l.others() {
			l.gathering, l.scan = time.Time{}, time.Time{}
		}
		return
	}
	it := h.it
	if len(l.byHash[it.hash]) > 0 || l.count >= MaxWaiting || l.bytes+len(it.msg.Data) > MaxBytes {
		return // another has handed it over, too; or it stays where it is
	}
	q := l.queues[it.order]
	var at int
	if h.next {
		at = max(0, slices.IndexFunc(q, func(o *item) bool { return o.hash == h.before }))
	} else if at = slices.IndexFunc(q, func(o *item) bool { return o.at.After(it.at) }); at < 0 {
		at = len(q)
	}
	if at == 0 && len(q) > 0 && q[0].place != idle {
		at = 1 // too late: the first one is being stored
	}
	l.queues[it.order] = slices.Insert(q, at, it)
	l.keep(it)
	if h.fresh && !h.next {
		l.early[it.hash] = hint{l.early[it.hash].n + 1, time.Now()}
	}
	if at == 0 && l.mine(it, time.Now()) {
		l.send(it)
	}
}

// others returns how many other replicas this one is connected to.
func (l *loop) others() int {
	if l.cfg.Others == nil {
		return 0
	}
	return l.cfg.Others()
}
