package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lettersFresh is for how long the number of dead letters is told again: it
// takes a question to a stream, and many may scrape.
const lettersFresh = 10 * time.Second

// vitals are the figures that exist anyway and are read when somebody scrapes.
// It is a prometheus.Collector.
type vitals struct {
	g *Gateway

	build, links, failed, refused, pending, differs                              *prometheus.Desc
	expires, diskFree, diskSize                                                  *prometheus.Desc
	held, awayFor, waitingOldest, letters, planesFor, quorum, uncaptured, offset *prometheus.Desc

	mu        sync.Mutex // guards the following fields
	lettersAt time.Time
	lettersN  float64
}

func newVitals(g *Gateway) *vitals {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &vitals{
		g:             g,
		build:         d("ringway_build_info", "1 for the version of the program.", "version"),
		links:         d("ringway_link_up", "1 while a connection to another stamp's server is up.", "peer", "kind"),
		failed:        d("ringway_parts_failed", "Parts of the gateway that do not work; see /status."),
		refused:       d("ringway_topology_refused", "1 while the topology or identity files, as they are now, are not in force."),
		pending:       d("ringway_topology_pending", "Changes of the topology that wait for a restart."),
		differs:       d("ringway_topology_differs", "1 while another stamp has another topology in force than this one.", "to"),
		expires:       d("ringway_expires_timestamp_seconds", "When what expires first in a file of the identity expires.", "file"),
		diskFree:      d("ringway_disk_free_bytes", "Room that is left on the file system of the streams."),
		diskSize:      d("ringway_disk_size_bytes", "Size of the file system of the streams."),
		held:          d("ringway_outbox_events", "Events in RW_HOLD for a target that is away.", "to"),
		awayFor:       d("ringway_outbox_held_seconds", "For how long events for a target have been held; 0 if none are.", "to"),
		waitingOldest: d("ringway_events_waiting_oldest_seconds", "Age of the oldest event that waits to be given to the clients of this stamp."),
		letters:       d("ringway_dead_letters", "Dead letters that are kept."),
		planesFor:     d("ringway_planes_unconfirmed_seconds", "For how long a control plane has not confirmed a plane: the longest."),
		quorum:        d("ringway_replica_quorum", "1 while the streams of the stamp have a majority of its replicas."),
		uncaptured:    d("ringway_capture_waiting", "Several replicas: events heard here that are not stored yet."),
		offset:        d("ringway_canary_clock_offset_seconds", "The clock of another stamp minus that of this one.", "to"),
	}
}

// Describe implements prometheus.Collector.
func (v *vitals) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		v.build, v.links, v.failed, v.refused, v.pending, v.differs, v.expires, v.diskFree, v.diskSize, v.held, v.awayFor,
		v.waitingOldest, v.letters, v.planesFor, v.quorum, v.uncaptured, v.offset,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (v *vitals) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	put := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	v.process(put)
	v.replica(put)
	v.planes(put, now)
	if n, ok := v.countLetters(now); ok {
		put(v.letters, n)
	}
	p := v.g.bridge.Load()
	if p == nil {
		return // it stands by, or is not there yet
	}
	for _, l := range p.outbox.Lanes() {
		held := 0.0
		if l.Holding {
			held = now.Sub(l.Since).Seconds()
		}
		put(v.held, float64(l.Held), string(l.Target))
		put(v.awayFor, held, string(l.Target))
	}
	oldest := 0.0
	for _, w := range p.inbox.Waiting() {
		oldest = max(oldest, now.Sub(w.Oldest).Seconds())
	}
	put(v.waitingOldest, oldest)
	mine := v.g.force.Load().view.Hash
	for _, peer := range p.asker.Peers() {
		if peer.Hash == "" {
			continue // it has not answered yet
		}
		put(v.differs, truth(peer.Hash != mine), string(peer.Stamp))
		put(v.offset, peer.Offset.Seconds(), string(peer.Stamp))
	}
}

type put func(d *prometheus.Desc, value float64, labels ...string)

// process is what every gateway has, also one that stands by.
func (v *vitals) process(put put) {
	put(v.build, 1, Version())
	failed := 0
	for _, state := range v.g.board.snapshot() {
		if state != "ok" && state != "starting" {
			failed++
		}
	}
	put(v.failed, float64(failed))
	links := map[[2]string]float64{} // there may be several of a kind, to the addresses of a peer
	for _, l := range v.g.node.Links() {
		k := [2]string{string(l.Peer), string(l.Kind)}
		links[k] = max(links[k], truth(l.Up))
	}
	for k, up := range links {
		put(v.links, up, k[0], k[1])
	}
	f := v.g.force.Load()
	put(v.refused, truth(f.problem != ""))
	put(v.pending, float64(len(f.pending)+len(f.relinks)))
	soonest := map[string]time.Time{}
	for _, x := range f.expires {
		if at, ok := soonest[x.File]; !ok || x.At.Before(at) {
			soonest[x.File] = x.At
		}
	}
	for file, at := range soonest {
		put(v.expires, float64(at.Unix()), file)
	}
	if free, size, err := diskRoom(v.g.opts.Data); err == nil {
		put(v.diskFree, float64(free))
		put(v.diskSize, float64(size))
	}
}

func (v *vitals) replica(put put) {
	s := v.g.replicaStatus()
	if s == nil {
		put(v.quorum, 1)
		return
	}
	put(v.quorum, truth(s.Quorum))
	put(v.uncaptured, float64(s.Uncaptured))
}

func (v *vitals) planes(put put, now time.Time) {
	r := v.g.planes.Load()
	if r == nil {
		return
	}
	if since, _ := r.Stalest(); !since.IsZero() {
		put(v.planesFor, now.Sub(since).Seconds())
		return
	}
	put(v.planesFor, 0)
}

// countLetters is false if the number is not known.
func (v *vitals) countLetters(now time.Time) (float64, bool) {
	box := v.g.letters.Load()
	if box == nil {
		return 0, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.lettersAt) < lettersFresh {
		return v.lettersN, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	n, err := box.Count(ctx)
	if err != nil {
		return 0, false
	}
	v.lettersN, v.lettersAt = float64(n), now
	return v.lettersN, true
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
