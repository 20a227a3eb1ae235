package demo

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Drive runs sequences: n of them, or without end if n is 0. When ctx is
// cancelled it starts no more. It returns when those that were started have
// ended, or when Run has. Drive may be called when Run is ready.
func (c *ControlPlane) Drive(ctx context.Context, n int) error {
	select {
	case <-c.up:
	default:
		return ErrOver
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	next, stop := pace(c.flow.Rate)
	defer stop()
	slots := make(chan struct{}, c.flow.Concurrency)
	for i := 0; n == 0 || i < n; i++ {
		select {
		case <-next:
		case <-ctx.Done():
			return nil
		case <-c.over:
			return ErrOver
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		case <-c.over:
			return ErrOver
		}
		wg.Go(func() {
			defer func() { <-slots }()
			c.sequence(i)
		})
	}
	return nil
}

// pace returns a channel that can be read rate times a second, at once the
// first time; always if rate is 0.
func pace(rate float64) (next <-chan time.Time, stop func()) {
	if rate <= 0 {
		always := make(chan time.Time)
		close(always)
		return always, func() {}
	}
	t := time.NewTicker(time.Duration(float64(time.Second) / rate))
	return t.C, t.Stop
}

// A run is one sequence on its way through the stages.
type run struct {
	context string
	stage   string
	data    map[string]any
}

// sequence runs sequence n through all stages. A stage that fails is the last.
func (c *ControlPlane) sequence(n int) {
	r := &run{context: newID(), data: merge(map[string]any{
		"project": c.flow.Project, "service": c.flow.Service,
		"configurationChange": map[string]any{"values": map[string]any{
			"image": fmt.Sprintf("ghcr.io/ringway/%s:0.1.%d", c.flow.Service, n),
		}},
	}, c.flow.Data(n))}
	c.count(func(p *Progress) { p.Sequences++ })
	for _, stage := range c.flow.Stages {
		r.stage = stage
		r.data = merge(r.data, map[string]any{"stage": stage})
		ok, err := c.runStage(r)
		if err != nil {
			c.log.Warn("sequence abandoned", "err", err)
			return
		}
		if !ok {
			c.count(func(p *Progress) { p.Failed++ })
			break
		}
	}
	c.count(func(p *Progress) { p.Completed++ })
}

// runStage runs the tasks of one stage and reports whether they went well.
func (c *ControlPlane) runStage(r *run) (ok bool, err error) {
	name := typePrefix + r.stage + "." + c.flow.Sequence
	id := newID()
	if _, err := c.publish(head{ID: id, Type: name + ".triggered", Context: r.context}, nil, r.data); err != nil {
		return false, err
	}
	ok = true
	for _, t := range c.flow.Tasks {
		if err := c.runTask(r, t); err != nil {
			return false, err
		}
		result, status := r.data["result"], r.data["status"]
		if ok = result != "fail" && status != "errored" && status != "aborted"; !ok {
			break
		}
	}
	_, err = c.publish(head{ID: newID(), Type: name + ".finished", Context: r.context}, map[string]string{"triggeredid": id}, r.data)
	return ok, err
}

// runTask triggers one task and waits until it is complete.
func (c *ControlPlane) runTask(r *run, name string) error {
	t := &task{done: make(chan struct{})}
	id := newID()
	c.mu.Lock()
	c.progress.Tasks++
	c.open[id] = t
	c.mu.Unlock()
	defer c.shut(id)
	data := merge(r.data, map[string]any{name: map[string]any{name + "strategy": "direct"}})
	ext := map[string]string{"gitcommitid": "5f2d9c1b7a3e4d6f8091a2b3c4d5e6f708192a3b"}
	answers, err := c.publish(head{ID: id, Type: typePrefix + name + ".triggered", Context: r.context}, ext, data)
	if err != nil {
		return err
	}
	if answers == 0 {
		c.count(func(p *Progress) { p.Unrouted++ })
		return nil
	}
	timeout := time.NewTimer(c.flow.TaskTimeout)
	defer timeout.Stop()
	select {
	case <-t.done:
		r.data = t.merged(data)
		return nil
	case <-timeout.C:
		return c.hang(r, name, id, t)
	case <-c.over:
		return ErrOver
	}
}

// shut ends the waiting for the task of the event id.
func (c *ControlPlane) shut(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, id)
}

// hang reports a task that was not complete in time, as an error.
func (c *ControlPlane) hang(r *run, name, id string, t *task) error {
	c.mu.Lock()
	h := Hang{Context: r.context, Stage: r.stage, Task: name, ID: id, Started: t.tally.started, Finished: t.tally.finished}
	c.progress.Hung++
	if len(c.progress.Hangs) < maxHangs {
		c.progress.Hangs = append(c.progress.Hangs, h)
	}
	c.mu.Unlock()
	c.cfg.OnLog(fmt.Sprintf("task %s in %s hangs: %d started, %d finished (%s)", name, r.stage, h.Started, h.Finished, id))
	return fmt.Errorf("wait for task %s in %s: not complete after %s", name, r.stage, c.flow.TaskTimeout)
}

// publish sends one event, and returns how many planes will answer it.
func (c *ControlPlane) publish(h head, ext map[string]string, data map[string]any) (answers int, err error) {
	body, err := triggered(h, ext, data, c.cfg.Now())
	if err != nil {
		return 0, err
	}
	answers = c.cfg.Seat.Sent(body)
	if err := c.nc.Publish(h.Type, body); err != nil {
		c.cfg.Seat.Withdraw(body)
		return 0, fmt.Errorf("publish %s: %w", h.Type, err)
	}
	return answers, nil
}

// count changes the progress.
func (c *ControlPlane) count(change func(*Progress)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.progress)
}

// Cost returns how many deliveries to other stamps sequence n will cause, by
// the router's word: the events of the control plane and the answers. It sends
// nothing.
func (c *ControlPlane) Cost(n int) int {
	total := 0
	data := merge(map[string]any{"project": c.flow.Project, "service": c.flow.Service}, c.flow.Data(n))
	for _, stage := range c.flow.Stages {
		data := merge(data, map[string]any{"stage": stage})
		name := typePrefix + stage + "." + c.flow.Sequence
		types := []string{name + ".triggered", name + ".finished"}
		for _, t := range c.flow.Tasks {
			types = append(types, typePrefix+t+".triggered")
		}
		for _, typ := range types {
			if body, err := triggered(head{ID: newID(), Type: typ, Context: newID()}, nil, data, c.cfg.Now()); err == nil {
				total += c.cfg.Seat.cost(body)
			}
		}
	}
	return total
}
