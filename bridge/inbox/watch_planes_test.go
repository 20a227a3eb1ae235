package inbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWatchPlanesMakesNothing: tasks that were given often enough are only looked
// at, twenty times a second.
func TestWatchPlanesMakesNothing(t *testing.T) { //nolint:paralleltest // it counts allocations
	in := &Inbox{cfg: Config{ReofferAfter: time.Second, ReofferTimes: 1}, givens: newGivens(nil)}
	now := time.Now()
	for i := range 1000 {
		id := fmt.Sprint(i)
		in.givens.list.put(&given{id: id, subject: "s", at: now})
		in.givens.list.again(id, 1)
	}
	require.Less(t, testing.AllocsPerRun(10, func() { in.watchPlanes(now.Add(time.Minute)) }), 10.0)
}
