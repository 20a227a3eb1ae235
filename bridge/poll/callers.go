package poll

import (
	"strings"
	"sync"
	"time"

	"github.com/ringway/ringway/topology"
)

// callerGone is after what time a caller that does not poll any more counts as
// gone.
const callerGone = 10 * time.Minute

// maxCallers bounds how many types are remembered that callers poll for.
const maxCallers = 4096

// Callers are Planes that are known from their polls alone: nobody has
// registered, and what was polled for lately is subscribed to.
type Callers struct {
	mu   sync.RWMutex
	seen map[string]*caller // by type or pattern
}

type caller struct {
	mu sync.Mutex
	at time.Time
}

// NewCallers returns Callers that know of nobody.
func NewCallers() *Callers { return &Callers{seen: map[string]*caller{}} }

// Integrations returns none.
func (*Callers) Integrations(string) []Integration { return nil }

// Seen takes note of a poll.
func (c *Callers) Seen(_, eventType string) {
	c.mu.RLock()
	one := c.seen[eventType]
	c.mu.RUnlock()
	now := time.Now()
	if one == nil {
		c.add(eventType, now)
		return
	}
	one.mu.Lock()
	one.at = now
	one.mu.Unlock()
}

func (c *Callers) add(eventType string, now time.Time) {
	if !topology.Pattern(eventType).Valid() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for t, one := range c.seen {
		if one.gone(now) {
			delete(c.seen, t)
		}
	}
	if len(c.seen) < maxCallers {
		c.seen[strings.Clone(eventType)] = &caller{at: now}
	}
}

func (c *caller) gone(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Sub(c.at) > callerGone
}

// Polled reports whether somebody has polled for a subject lately.
func (c *Callers) Polled(subject string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	now := time.Now()
	if one := c.seen[subject]; one != nil && !one.gone(now) {
		return true
	}
	for t, one := range c.seen {
		if strings.ContainsAny(t, "*>") && topology.Pattern(t).Match(topology.Subject(subject)) && !one.gone(now) {
			return true
		}
	}
	return false
}
