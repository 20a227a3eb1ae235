package inbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/crash"
)

// Where a stamp has replicas, another process takes over while events keep
// arriving, so it has to tell what the one before may have published from what
// came afterwards: the first is in doubt, the second is not. So events are
// staged, the progress is written with their sequences (progress.Open), and
// only then they are published. With one replica the stream stands still with
// the process, and the first of each subject are doubted instead.
//
// What a sink wants is staged, too: it is with the sink before it is published.
// If a sink cannot store it, no client has got it, and it is tried again without
// a doubt.

// stagedSize bounds how many events are staged between two writes of the
// progress, and so how many are doubtful after a crash of an active replica
// whose subscribers keep up.
const stagedSize = 32

// announces reports whether events are staged before they are published.
func (in *Inbox) announces() bool { return in.cfg.Replicas > 1 }

// stage has an event published with the next commit.
func (in *Inbox) stage(ctx context.Context, a arrival) error {
	room := batchSize
	if in.announces() {
		room = stagedSize
	}
	if len(in.staged) >= room {
		if err := in.save(ctx); err != nil {
			return err
		}
	}
	in.staged = append(in.staged, a)
	in.hold(a)
	return nil
}

// publishStaged gives the sinks what is staged, announces it and publishes it. If
// that cannot be stored it is not published, and not in doubt.
func (in *Inbox) publishStaged(ctx context.Context) error {
	if len(in.staged) == 0 {
		return nil
	}
	err := in.feed(ctx)
	if err == nil && in.announces() {
		err = in.note(ctx)
	}
	if err != nil {
		for _, a := range in.staged {
			in.lanes[a.subject].written(a.seq)
		}
		in.staged = nil
		in.progress.Open = in.openSeqs()
		return err
	}
	staged := in.staged
	in.staged = nil
	for _, a := range staged {
		if err := in.publish(a); err != nil {
			return err
		}
	}
	return nil
}

// message returns an event as the stamp's clients get it. It is good until the
// next one is asked for.
func (in *Inbox) message(a arrival) *nats.Msg {
	m := &in.outgoing
	m.Subject, m.Data, m.Header = a.subject, a.body, nil
	if isKeptns(a.subject) {
		// shipyard-controller's own stream drops a repeated id within its
		// window of two minutes; other subscribers read the body alone.
		if in.headers == nil {
			in.headers = nats.Header{nats.MsgIdHdr: {""}, bridge.HeaderOrigin: {""}}
		}
		m.Header = in.headers
		m.Header[nats.MsgIdHdr][0], m.Header[bridge.HeaderOrigin][0] = a.key, string(a.from)
		delete(m.Header, bridge.HeaderTrace)
	}
	return m
}

// publish gives an event to the stamp's clients.
func (in *Inbox) publish(a arrival) error {
	m := in.message(a)
	if in.cfg.Trace != nil {
		in.trace(m, &a)
	}
	if err := in.cfg.Deliver.PublishMsg(m); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	crash.At(crash.InboxDelivered)
	in.unflushed = true
	if bridge.Classify(a.subject) != bridge.KindTaskTriggered {
		in.passed = append(in.passed, a.seq)
	}
	now := time.Now()
	in.give(a, now)
	in.noteDelivered(&a, now)
	of := in.metrics.of(a.from)
	of.delivered.Inc()
	if !a.captured.IsZero() {
		of.delay.Observe(max(0, now.Sub(a.captured).Seconds()))
	}
	return nil
}

// traceRoom is what the header traceparent takes, in bytes.
const traceRoom = 80

// trace tells the clients which trace an event is part of, unless the NATS of the
// stamp would not take it then.
func (in *Inbox) trace(m *nats.Msg, a *arrival) {
	if most := in.maxPayload(); m.Header != nil && (most == 0 || int64(m.Size()+traceRoom) <= most) {
		m.Header[bridge.HeaderTrace] = []string{in.cfg.Trace(a.about(), a.trace, "")}
	}
}

// openSeqs returns what was published, or is about to be, and is not settled, and
// what is in doubt from an earlier time.
func (in *Inbox) openSeqs() [][2]place {
	if !in.announces() {
		return nil
	}
	seqs := make([]place, 0, 64)
	for _, l := range in.lanes {
		seqs = append(seqs, l.seqs...)
	}
	for _, d := range in.doubts {
		seqs = append(seqs, d.w.seq)
	}
	in.opened = slices.DeleteFunc(in.opened, func(r [2]place) bool { return r[1] <= in.progress.Floor })
	return union(ranges(seqs), in.opened)
}
