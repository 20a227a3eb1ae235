package catch

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// A loop is one run of a Catcher. All of it belongs to one goroutine.
type loop struct {
	*Catcher
	inbox  string // where the stream answers
	id     string // part of the ids of this run's messages
	active bool
	ending bool

	queues map[string][]*item // by order; only the first of each is in flight
	byHash map[hash][]*item   // the same items, oldest first
	flying map[uint64]*item
	ready  []*item       // first of their orders, wait for a place in flight
	retry  []*item       // the same, were sent before; at most maxFlying
	pause  time.Time     // nothing is sent before
	scan   time.Time     // of the last look at everything
	early  map[hash]hint // told of and not yet heard
	clear  time.Time     // when the active one last said that it holds nothing old
	spoke  time.Time     // when this one last said so
	tell   []byte        // hashes of what was stored since others were told
	next   uint64
	count  int
	bytes  int

	gathered  string    // where others answer
	gathering time.Time // until then others are waited for; zero if they are not
	ends      int       // how many have answered
	questions map[string]map[hash]int
}

func newLoop(c *Catcher, inbox, gathered string) *loop {
	return &loop{
		Catcher: c, inbox: inbox, gathered: gathered, id: c.cfg.Name + ":" + strconv.FormatInt(time.Now().UnixNano(), 36) + ":",
		queues: map[string][]*item{}, byHash: map[hash][]*item{}, flying: map[uint64]*item{}, early: map[hash]hint{},
		questions: map[string]map[hash]int{},
	}
}

// A hint is how often a message was told of, and when last.
type hint struct {
	n  int
	at time.Time
}

// run works until ctx ends, and then until nothing is left or it takes too
// long.
func (l *loop) run(ctx context.Context) {
	tick := time.NewTicker(tellTime)
	defer tick.Stop()
	stop := ctx.Done()
	var end <-chan time.Time
	for !l.ending || l.count > 0 || len(l.heard) > 0 || l.draining() {
		select {
		case <-stop:
			stop, l.ending = nil, true
			l.drain()
			end = time.After(drainTime)
		case <-end:
			l.cfg.Log.Error("events not stored at the end", "n", l.count)
			return
		case m := <-l.modes:
			l.setActive(m.active)
			close(m.done)
		case it := <-l.heard:
			l.take(it)
		case hashes := <-l.told:
			if len(hashes) == 0 {
				l.clear = time.Now()
				continue
			}
			l.forget(hashes)
		case q := <-l.asked:
			l.answer(q)
		case h := <-l.handed:
			l.insert(h)
		case a := <-l.answers:
			l.settle(a)
		case now := <-tick.C:
			l.again(now)
		}
	}
	l.say()
}

// setActive starts or stops to store. What is in flight when it stops stays: it
// is stored, and told by whoever hears of it.
func (l *loop) setActive(active bool) {
	l.active = active
	l.say()
	l.ask(time.Now())
	for _, it := range slices.Concat(l.ready, l.retry) {
		it.place = idle
	}
	l.ready, l.retry, l.scan = nil, nil, time.Time{}
	l.again(time.Now())
}

// mine reports whether it is for this replica to store an item now.
func (l *loop) mine(it *item, now time.Time) bool {
	if l.active {
		return !l.gathers(now)
	}
	if l.ending && now.Sub(it.at) > drainTime/2 {
		return true
	}
	// While nobody is active, or the stream has no leader, it is not this one's
	// turn, however long that takes: others have it too, and would store it
	// among later ones.
	return l.clear.Sub(it.at) > strayTime
}

// take puts a message behind those of its order.
func (l *loop) take(it *item) {
	l.metrics.heard.Inc()
	if e, ok := l.early[it.hash]; ok { // stored before it was heard here
		if e.n--; e.n == 0 {
			delete(l.early, it.hash)
		} else {
			l.early[it.hash] = e
		}
		return
	}
	if l.count >= MaxWaiting || l.bytes+len(it.msg.Data) > MaxBytes {
		l.lose()
		return
	}
	l.queues[it.order] = append(l.queues[it.order], it)
	l.keep(it)
	if l.queues[it.order][0] == it && l.mine(it, it.at) {
		l.send(it)
	}
}

// keep counts an item that was put into the queue of its order.
func (l *loop) keep(it *item) {
	if it.msg.Header.Get(nats.MsgIdHdr) == "" {
		l.next++
		it.msg.Header.Set(nats.MsgIdHdr, l.id+strconv.FormatUint(l.next, 10))
	}
	l.count++
	l.bytes += len(it.msg.Data)
	l.byHash[it.hash] = append(l.byHash[it.hash], it)
	l.noteWaiting()
}

// send gives the first of an order to the stream, or has it wait for a place.
func (l *loop) send(it *item) {
	now := time.Now()
	if len(l.flying) >= maxFlying || now.Before(l.pause) {
		it.place = queued
		l.ready = append(l.ready, it)
		return
	}
	l.next++
	it.n, it.sent, it.place = l.next, now, flying
	l.flying[it.n] = it
	out := &nats.Msg{Subject: it.msg.Subject, Header: it.msg.Header, Data: it.msg.Data, Reply: l.inbox + "." + strconv.FormatUint(it.n, 10)}
	switch err := l.cfg.Relay.PublishMsg(out); {
	case errors.Is(err, nats.ErrMaxPayload): // with what was added; trying again is no use
		l.lose()
		l.drop(it)
	case err != nil:
		l.fail(it, err)
	}
}

// fail has a message sent again, and everything a little later: what ails the
// stream ails all.
func (l *loop) fail(it *item, err error) {
	delete(l.flying, it.n)
	now := time.Now()
	if it.place = idle; l.mine(it, now) {
		it.place = queued
		l.retry = append(l.retry, it)
	}
	l.pause = now.Add(retryTime)
	l.note(func(s *State) {
		if s.Err == "" {
			l.cfg.Log.Warn("events not stored, will try again", "n", l.count, "err", err)
		}
		s.Err = err.Error()
	})
}

// settle takes an answer of the stream.
func (l *loop) settle(a answer) {
	it := l.flying[a.n]
	if it == nil {
		return // of an earlier try
	}
	if a.err != nil {
		l.fail(it, a.err)
		return
	}
	l.metrics.seconds.Observe(time.Since(it.at).Seconds())
	if it.reply != "" {
		_ = l.cfg.Relay.Publish(it.reply, a.data) // whoever asked has gone
	}
	l.tell = append(l.tell, it.hash[:]...)
	l.note(func(s *State) {
		if s.Err != "" {
			l.cfg.Log.Info("events are stored again", "n", l.count)
		}
		s.Err = ""
	})
	l.drop(it)
	l.fill(time.Now())
}

// drop forgets an item and sends the next of its order.
func (l *loop) drop(it *item) {
	switch it.place {
	case flying:
		delete(l.flying, it.n)
	case queued:
		l.ready, l.retry = without(l.ready, it), without(l.retry, it)
	case idle:
	}
	if same := without(l.byHash[it.hash], it); len(same) > 0 {
		l.byHash[it.hash] = same
	} else {
		delete(l.byHash, it.hash)
	}
	q := l.queues[it.order]
	first := q[0] == it
	if q = without(q, it); len(q) == 0 {
		delete(l.queues, it.order)
	} else {
		l.queues[it.order] = q
		if first && l.mine(q[0], time.Now()) {
			l.send(q[0])
		}
	}
	l.count--
	l.bytes -= len(it.msg.Data)
	l.noteWaiting()
}

// without returns list without it.
func without(list []*item, it *item) []*item {
	if len(list) > 0 && list[0] == it {
		return list[1:]
	}
	if i := slices.Index(list, it); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// lose counts an event that is not stored.
func (l *loop) lose() {
	l.metrics.lost.Inc()
	l.note(func(s *State) { s.Lost++ })
}

// forget drops what another replica has stored. One that is told of before it
// is heard is remembered for a while.
func (l *loop) forget(stored []hash) {
	for _, h := range stored {
		if same := l.byHash[h]; len(same) > 0 {
			l.drop(same[0])
		} else {
			l.early[h] = hint{l.early[h].n + 1, time.Now()}
		}
	}
	if len(l.flying) == 0 {
		l.note(func(s *State) { s.Err = "" })
	}
}

// say tells the others what was stored.
func (l *loop) say() {
	if len(l.tell) > 0 {
		_ = l.cfg.Relay.Publish(stored+l.cfg.Name, l.tell) // the others store it again, which is no harm
		l.tell = nil
	}
}

// sayClear tells the others now and then that this one is active and has stored
// what it heard.
func (l *loop) sayClear(now time.Time) {
	if !l.active || now.Sub(l.spoke) < clearTime {
		return
	}
	for _, q := range l.queues {
		if now.Sub(q[0].at) > strayTime/2 {
			return
		}
	}
	l.spoke = now
	_ = l.cfg.Relay.Publish(stored+l.cfg.Name, nil) // said again soon
}

// again gives up on answers that do not come, and sends what waits.
func (l *loop) again(now time.Time) {
	l.say()
	for _, it := range l.flying {
		if now.Sub(it.sent) > answerTime {
			l.fail(it, errNoAnswer)
		}
	}
	l.fill(now)
	if now.Sub(l.scan) < retryTime {
		return
	}
	l.scan = now
	l.sayClear(now)
	for h, e := range l.early {
		if now.Sub(e.at) > 2*strayTime {
			delete(l.early, h)
		}
	}
	for _, q := range l.queues {
		if it := q[0]; it.place == idle && l.mine(it, now) {
			l.send(it)
		}
	}
}

// fill sends what waits, as much as there are places in flight.
func (l *loop) fill(now time.Time) {
	if now.Before(l.pause) {
		return
	}
	retry := l.retry
	l.retry = nil
	for _, it := range retry {
		l.send(it)
	}
	for len(l.ready) > 0 && len(l.flying) < maxFlying && !now.Before(l.pause) {
		it := l.ready[0]
		l.ready = l.ready[1:]
		l.send(it)
	}
}

func (l *loop) noteWaiting() {
	l.note(func(s *State) {
		was := s.Waiting
		s.Waiting = l.count
		switch {
		case l.count == 0:
			s.Since = time.Time{}
		case was == 0:
			s.Since = time.Now()
		}
	})
}
