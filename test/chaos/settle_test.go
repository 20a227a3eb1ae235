package chaos_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringway/ringway/gateway"
)

// Bounds of the wait for the end.
const (
	quiet     = 1500 * time.Millisecond // nothing moved for so long: nothing will
	quietOpen = 6 * time.Second         // the same while tasks are open: longer than any deadline
	longest   = 60 * time.Second        // with nothing moving, and something that ought to
	ever      = 4 * time.Minute         // whatever moves
)

// settle waits until nothing is on its way any more, and says what hangs; empty
// if nothing. It gives up when for a long time nothing has moved: on a machine
// that is busy with something else, what moves comes to its end later.
func (s *site) settle() string {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	began, last, moved := time.Now(), uint64(0), time.Now()
	for {
		now := <-tick.C
		limit := quiet
		if s.open() > 0 {
			limit = quietOpen
		}
		idle := s.j.idle()
		if idle <= quiet {
			moved = now
			continue
		}
		why, n := s.clear(), s.unsettled()
		if n != last {
			last, moved = n, now
		}
		if idle > limit && why == "" && n == 0 {
			return ""
		}
		if now.Sub(moved) > longest || now.Sub(began) > ever {
			return fmt.Sprintf("%q, idle for %s, %d events have not left their stamps, %d tasks are open", why, idle, n, s.open())
		}
	}
}

// open returns how many tasks are not complete.
func (s *site) open() (n int) {
	for _, c := range s.controls {
		n += c.unfinished()
	}
	return n
}

// clear says what is not well in the federation; empty if nothing.
func (s *site) clear() string {
	for _, st := range s.fed.Stamps() {
		r := st.Active()
		if r == nil || r.Gateway() == nil {
			return string(st.ID) + " does not run"
		}
		status := r.Gateway().Status()
		if len(status.Causes) > 0 {
			return fmt.Sprint(st.ID, ": ", status.Causes)
		}
		for _, t := range status.Targets {
			if t.Held > 0 {
				return fmt.Sprintf("%s holds %d for %s", st.ID, t.Held, t.Stamp)
			}
		}
		if len(status.Waiting) > 0 {
			return fmt.Sprint(st.ID, ": waiting: ", status.Waiting)
		}
	}
	return ""
}

// noteStatus writes down how every gateway sees itself: what a stuck event is
// stuck behind.
func (s *site) noteStatus() {
	for _, st := range s.fed.Stamps() {
		for i := range max(st.Replicas, 1) {
			g := st.Replica(i).Gateway()
			if g == nil {
				s.note(fmt.Sprintf("status of %s/%d: does not run", st.ID, i))
				continue
			}
			status := g.Status()
			status.Targets = slices.DeleteFunc(status.Targets, func(t gateway.TargetStatus) bool { return t.Held == 0 && !t.Away })
			text, err := json.Marshal(struct {
				Causes, Links, Peers, Targets, Tasks, Waiting, Replica, Parts any
			}{status.Causes, status.Links, status.Peers, status.Targets, status.Tasks, status.Waiting, status.Replica, status.Parts})
			s.note(fmt.Sprintf("status of %s/%d: %s %v", st.ID, i, text, err))
		}
	}
}
