package ctl

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// askAgain is after what time a stamp that has not answered is asked again: the
// way back may have been learnt meanwhile.
const askAgain = time.Second

// Why there is no answer.
var (
	// ErrNoAnswer reports that a stamp did not answer in time.
	ErrNoAnswer = errors.New("did not answer")
	// ErrNoWay reports that nobody in the stamp hears questions, as far as our
	// own NATS knows.
	ErrNoWay = errors.New("did not answer: no way to the stamp, or its gateway is down")
	// ErrRefused reports that the stamp does not tell us. Trying again does not
	// help.
	ErrRefused = errors.New("refused")
)

// An Answer is what came of asking one stamp.
type Answer struct {
	Stamp topology.StampID
	Asked time.Time // when the question went that was answered
	Took  time.Duration
	Body  []byte // JSON
	Err   error  // ErrNoAnswer, ErrNoWay, ErrRefused or what went wrong there
}

// An Asker asks other stamps. Its methods are safe for concurrent use.
type Asker struct {
	me   topology.StampID
	fed  *nats.Conn
	name string // of this process, for answers to find it

	mu   sync.Mutex // guards the fields below
	n    uint64
	open map[string]*question // by number
}

type question struct {
	to     topology.StampID
	asked  time.Time
	answer chan<- Answer // has room
}

// NewAsker returns an Asker that hears answers while Run runs. fed is a
// connection of account FED.
func NewAsker(me topology.StampID, fed *nats.Conn) *Asker {
	return &Asker{me: me, fed: fed, name: strings.ToLower(rand.Text()), open: map[string]*question{}}
}

// Run hears answers until ctx is cancelled. It may be called again after it has
// returned.
func (a *Asker) Run(ctx context.Context, ready func()) error {
	sub, err := a.fed.Subscribe(bridge.ShowRepliesFor(a.me, a.name), a.answered)
	if err != nil {
		return fmt.Errorf("subscribe answers of stamps: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	ready()
	<-ctx.Done()
	return nil
}

// Ask asks every one of stamps at once, and returns an answer for each, in
// their order, when all have answered or ctx ends.
func (a *Asker) Ask(ctx context.Context, what string, stamps []topology.StampID) []Answer {
	return a.Query(ctx, what, func(topology.StampID) []byte { return nil }, stamps)
}

// Query is Ask of a question that has a body for each stamp.
func (a *Asker) Query(ctx context.Context, what string, body func(topology.StampID) []byte, stamps []topology.StampID) []Answer {
	got := make(chan Answer, 2*len(stamps)) // nobody answers a question twice
	var mine []string
	defer func() { a.forget(mine) }()
	out := map[topology.StampID]Answer{}
	put := func(to topology.StampID) {
		n, err := a.ask(to, what, body(to), got)
		mine = append(mine, n)
		if err != nil {
			out[to] = Answer{Stamp: to, Err: err}
		}
	}
	for _, s := range stamps {
		put(s)
	}
	again := time.NewTimer(askAgain)
	defer again.Stop()
	second := false
	for done := ctx.Done(); done != nil && unsettled(out, stamps, second); {
		select {
		case ans := <-got:
			if was, ok := out[ans.Stamp]; !ok || was.Err != nil {
				out[ans.Stamp] = ans
			}
		case <-again.C:
			second = true
			for _, s := range stamps {
				if ans, ok := out[s]; !ok || errors.Is(ans.Err, ErrNoWay) {
					delete(out, s)
					put(s)
				}
			}
		case <-done:
			done = nil
		}
	}
	all := make([]Answer, 0, len(stamps))
	for _, s := range stamps {
		ans, ok := out[s]
		if !ok {
			ans = Answer{Stamp: s, Err: ErrNoAnswer}
		}
		all = append(all, ans)
	}
	return all
}

// unsettled reports whether it is worth to wait on: an answer is missing, or a
// way may yet be found, which is tried once more.
func unsettled(out map[topology.StampID]Answer, stamps []topology.StampID, second bool) bool {
	for _, s := range stamps {
		if ans, ok := out[s]; !ok || errors.Is(ans.Err, ErrNoWay) && !second {
			return true
		}
	}
	return false
}

// ask puts one question and returns its number.
func (a *Asker) ask(to topology.StampID, what string, body []byte, got chan<- Answer) (string, error) {
	a.mu.Lock()
	a.n++
	n := strconv.FormatUint(a.n, 10)
	a.open[n] = &question{to: to, asked: time.Now(), answer: got}
	a.mu.Unlock()
	err := a.fed.PublishRequest(bridge.CtlSubject(to, a.me, what), bridge.ShowReply(a.me, to, a.name, n), body)
	if err != nil {
		return n, fmt.Errorf("ask stamp %s: %w", to, err)
	}
	return n, nil
}

func (a *Asker) forget(numbers []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range numbers {
		delete(a.open, n)
	}
}

// answered takes a stamp's answer, or our own server's that there is no way.
func (a *Asker) answered(m *nats.Msg) {
	_, from, rest, ok := bridge.Address(m.Subject)
	if !ok {
		return
	}
	n := rest[strings.LastIndexByte(rest, '.')+1:]
	a.mu.Lock()
	q := a.open[n]
	if q == nil || q.to != from {
		a.mu.Unlock()
		return
	}
	delete(a.open, n)
	a.mu.Unlock()
	ans := Answer{Stamp: from, Asked: q.asked, Took: time.Since(q.asked), Body: m.Data}
	ans.Err = refusal(m)
	q.answer <- ans
}
