package task

import "github.com/ringway/ringway/topology"

// Running counts, by stamp, the tasks that planes there have started and not
// finished.
func (ts *Tasks) Running() map[topology.StampID]int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	out := map[topology.StampID]int{}
	for _, t := range ts.open {
		for _, s := range t.Seats {
			if !s.State.settled() && s.running() {
				out[s.Stamp]++
			}
		}
	}
	return out
}
