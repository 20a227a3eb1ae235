package node

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// A StoreTrouble is something wrong with the streams on the disk of this
// machine. While there is one, what clients publish may not be stored.
type StoreTrouble struct {
	Stream string // empty: all of them
	Cause  string
	Since  time.Time // when it was first seen
	// Stuck means that the server does not write again before it was restarted,
	// even when the cause is gone.
	Stuck bool
}

// storeTroubles remembers what a server says about its store. The server drops
// what it cannot store, and this is the only sign of it.
type storeTroubles struct {
	mu   sync.Mutex
	seen map[string]*StoreTrouble // by stream and cause
	last map[string]time.Time
}

// passing is how long a trouble that a server gets over by itself is shown
// after it was seen last; the server repeats it at least every ten seconds.
const passing = 15 * time.Second

// storeLines are the lines of a server's log that tell of its store. A group
// called stream or cause is what it says.
var storeLines = []struct {
	line  *regexp.Regexp
	cause string
	stuck bool
}{
	{regexp.MustCompile(`failed to store a msg on stream '\S+ > (?P<stream>[^']+)': (?P<cause>.*)`), "", true},
	{regexp.MustCompile(`JetStream out of (?P<cause>.*resources), will be DISABLED`), "", true},
	{regexp.MustCompile(`Filesystem permission denied while writing msg, disabling JetStream: (?P<cause>.*)`), "", true},
	{regexp.MustCompile(`Critical write error: (?P<cause>.*)`), "", true},
	{regexp.MustCompile(`JetStream (?P<cause>\S+ resource limits exceeded for (server|account))`), "", false},
	{regexp.MustCompile(`JetStream (?P<cause>account limits exceeded.*)`), "", false},
	{regexp.MustCompile(`Error recreating stream "(?P<stream>[^"]+)": (?P<cause>.*)`), "", true},
	{regexp.MustCompile(`Missing stream metafile for "[^"]*/(?P<stream>RW_[A-Z]+)/`), "its description is missing", true},
	{regexp.MustCompile(`Stream metafile "[^"]*/(?P<stream>RW_[A-Z]+)/[^"]*": checksums do not match`), "its description is damaged", true},
	{regexp.MustCompile(`Error unmarshalling stream metafile "[^"]*/(?P<stream>RW_[A-Z]+)/`), "its description is damaged", true},
}

// note takes a line of a server's log.
func (s *storeTroubles) note(line string, now time.Time) {
	for _, l := range storeLines {
		m := l.line.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		t := StoreTrouble{Cause: l.cause, Since: now, Stuck: l.stuck}
		if i := l.line.SubexpIndex("stream"); i > 0 {
			t.Stream = m[i]
		}
		if i := l.line.SubexpIndex("cause"); i > 0 {
			t.Cause = m[i]
		}
		key := t.Stream + " " + t.Cause
		s.mu.Lock()
		if s.seen == nil {
			s.seen, s.last = map[string]*StoreTrouble{}, map[string]time.Time{}
		}
		if s.seen[key] == nil {
			s.seen[key] = &t
		}
		s.last[key] = now
		s.mu.Unlock()
		return
	}
}

func (s *storeTroubles) list(now time.Time) []StoreTrouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []StoreTrouble
	for key, t := range s.seen {
		if !t.Stuck && now.Sub(s.last[key]) > passing {
			delete(s.seen, key)
			continue
		}
		out = append(out, *t)
	}
	return out
}

// StoreTroubles returns what is wrong with the streams on this machine, sorted.
func (n *Node) StoreTroubles() []StoreTrouble {
	out := n.store.list(time.Now())
	if e := n.running(); e != nil {
		if !e.JetStreamEnabled() {
			out = append(out, StoreTrouble{Cause: "the server has turned its streams off", Stuck: true})
		}
	}
	slices.SortFunc(out, func(a, b StoreTrouble) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Cause, b.Cause))
	})
	return out
}

// ProbeStore tries to write to the disk that holds the streams, and returns why
// it cannot.
func (n *Node) ProbeStore() error {
	file := filepath.Join(n.cfg.Dir, "PROBE")
	err := os.WriteFile(file, make([]byte, probeSize), 0o600)
	if rmErr := os.Remove(file); err == nil {
		err = rmErr
	}
	if err != nil {
		return fmt.Errorf("write to data directory: %w", err)
	}
	return nil
}

// ErrOtherReplicas reports a data directory whose streams were written with
// one replica where there are several now, or the other way round: the server
// would delete them as nobody's. Trying again does not help.
var ErrOtherReplicas = errors.New("streams were written with another number of replicas")

// checkStore refuses a store that the server would not keep.
func (p *plan) checkStore() error {
	_, err := os.Stat(filepath.Join(p.cfg.Dir, "jetstream", p.creds.key(SYS), "_js_", "_meta_"))
	clustered := err == nil
	streams, err := filepath.Glob(filepath.Join(p.cfg.Dir, "jetstream", "*", "streams", "*"))
	if err != nil || len(streams) == 0 || clustered == p.replicated() {
		return nil //nolint:nilerr // of the pattern, which is ours
	}
	was := "one"
	if clustered {
		was = "several"
	}
	return fmt.Errorf("open store in %s: %w: there was %s; let the stamp forward and deliver what it holds, then give each replica an empty directory",
		p.cfg.Dir, ErrOtherReplicas, was)
}

// probeSize is how much must be free for a store to be worth a new start.
const probeSize = 4 << 20
