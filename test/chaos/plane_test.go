package chaos_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
)

// A plane behaves as a service made with Keptn's go-sdk: it joins the queue
// group of its name, does not notice duplicates, and answers every task with
// .started at once and .finished when its work is done.
type plane struct {
	t           testing.TB
	url         string
	stamp, name string
	task        string
	work        func(n int) time.Duration
	j           *journal

	mu      sync.Mutex // guards start and stop
	c       *client
	sub     *nats.Subscription
	working sync.WaitGroup
	n       int // events taken, for ids
}

func (p *plane) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.c = connect(p.t, p.url, p.stamp, p.name, p.j)
	var err error
	p.sub, err = p.c.nc.QueueSubscribe(keptnPrefix+p.task+triggered, p.name, p.take)
	assert.NoError(p.t, err)
	assert.NoError(p.t, p.sub.SetPendingLimits(-1, -1))
}

// stop takes in what the server has sent already, finishes the work and goes.
func (p *plane) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.c == nil {
		return
	}
	closed := p.sub.StatusChanged(nats.SubscriptionClosed)
	if err := p.sub.Drain(); err == nil {
		select {
		case <-closed:
		case <-time.After(20 * time.Second):
			assert.Fail(p.t, "plane does not drain", "%s in %s", p.name, p.stamp)
		}
	}
	p.working.Wait()
	p.c.nc.Close()
	p.c = nil
}

// take handles one event. It is called for one at a time.
func (p *plane) take(m *nats.Msg) {
	h, key := readHead(m.Data)
	p.j.saw(p.stamp, p.name, key)
	p.n++
	n, c := p.n, p.c
	p.answer(c, h, started, n)
	wait := p.work(n)
	if wait == 0 {
		p.answer(c, h, finished, n)
		return
	}
	p.working.Go(func() {
		done := time.NewTimer(wait)
		<-done.C
		p.answer(c, h, finished, n)
	})
}

func (p *plane) answer(c *client, to head, kind string, n int) {
	a := head{
		ID: fmt.Sprintf("%s-%s-%d%s", p.stamp, p.name, n, kind), Source: p.name, TriggeredID: to.ID, Context: to.Context,
		Type: strings.TrimSuffix(to.Type, triggered) + kind, Data: to.Data,
	}
	a.Data.Labels = map[string]string{"stamp": p.stamp}
	c.publish(a.Type, newBody(a))
}
