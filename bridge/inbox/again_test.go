package inbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// doubtful returns when planes are known to answer, and one that does not has
// been given task 2.
func (r *receiver) doubtful() (leave func()) {
	r.t.Helper()
	answered := r.worker(nil)
	require.NoError(r.t, r.send("a", "1"))
	require.Eventually(r.t, func() bool { return len(answered.done()) == 1 }, 5*time.Second, time.Millisecond)
	answered.nc.Close()
	require.Eventually(r.t, func() bool { return !r.srv.Interest(subject) }, 5*time.Second, time.Millisecond)
	mute := r.subscribe()
	require.NoError(r.t, r.send("a", "2"))
	require.Equal(r.t, string(event("2")), next(r.t, mute))
	return func() { requireUnsubscribed(r.t, r, mute) }
}

// TestTaskInDoubtKeepsItsPlace: while nobody subscribes it holds up nobody on
// other subjects, but what waits for the same planes still comes after it.
func TestTaskInDoubtKeepsItsPlace(t *testing.T) {
	r := newReceiver(t)
	r.doubtful()()
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 1 }, 5*time.Second, time.Millisecond, "it is in doubt")
	require.NoError(t, r.send("a", "3"))
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 2 }, 5*time.Second, time.Millisecond)
	again := r.worker(nil)
	require.NoError(t, r.send("a", "4"))
	require.Eventually(t, func() bool { return len(again.done()) == 3 }, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"2", "3", "4"}, again.done())
}

// TestLaterTaskWaitsForOneOfAPlaneThatLeft: another plane subscribes as soon as
// the first one leaves, and the next task arrives at once.
func TestLaterTaskWaitsForOneOfAPlaneThatLeft(t *testing.T) {
	r := newReceiver(t)
	leave := r.doubtful()
	leave()
	again := r.worker(nil)
	require.NoError(t, r.send("a", "3"))
	require.Eventually(t, func() bool { return len(again.done()) == 2 }, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"2", "3"}, again.done())
}
