package task

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

func one(stamps ...topology.StampID) *Task {
	t := all(stamps...)
	t.Deliver, t.Turn, t.StartWithin = topology.DeliverAny, &Turn{}, 10*time.Second
	for _, s := range t.Seats {
		s.State = ""
	}
	return complete(t)
}

func nobody(topology.StampID) bool { return false }

func at(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }

func TestTurnGoesToTheNearest(t *testing.T) {
	task := one("b", "c")
	to, ok := task.Offer(at(0), nobody)
	require.True(t, ok)
	require.EqualValues(t, "b", to)
	_, ok = task.Offer(at(9), nobody)
	require.False(t, ok, "it is b's turn")
	leave, changed := task.Claim("b", 1, at(9))
	require.True(t, leave && changed)
	leave, changed = task.Claim("b", 1, at(9))
	require.True(t, leave, "a lost answer: it asks again")
	require.False(t, changed)
	require.Equal(t, []string{"pass", "pass"}, run(t, task, "b+", "b-"))
	require.True(t, task.Over())
}

func TestTurnSkipsAStampThatIsAway(t *testing.T) {
	task := one("b", "c")
	to, _ := task.Offer(at(0), func(s topology.StampID) bool { return s == "b" })
	require.EqualValues(t, "c", to)
	task = one("b", "c")
	to, ok := task.Offer(at(0), func(topology.StampID) bool { return true })
	require.True(t, ok, "all are away: ask the nearest all the same")
	require.EqualValues(t, "b", to)
}

// TestNeverTwoAtOnce: a stamp that was passed over has no leave any more,
// whenever it asks, and its answers are refused.
func TestNeverTwoAtOnce(t *testing.T) {
	task := one("b", "c")
	task.Offer(at(0), nobody)
	to, ok := task.Offer(at(10), nobody)
	require.True(t, ok)
	require.EqualValues(t, "c", to)
	leave, _ := task.Claim("b", 1, at(11))
	require.False(t, leave)
	leave, _ = task.Claim("c", 1, at(11))
	require.False(t, leave, "another attempt")
	leave, _ = task.Claim("c", 2, at(11))
	require.True(t, leave)
	require.Equal(t, []string{"not-asked", "pass"}, run(t, task, "b+", "c+"))
}

// TestLeaveIsKept: a stamp that had leave and is not heard of may be at work
// behind a cut link. Only its own word lets another have the task.
func TestLeaveIsKept(t *testing.T) {
	task := one("b", "c")
	task.Offer(at(0), nobody)
	task.Claim("b", 1, at(5))
	_, ok := task.Offer(at(1000), nobody)
	require.False(t, ok)
	require.Equal(t, []string{"pass"}, run(t, task, "b+"), "heard at last")

	task = one("b", "c")
	task.Offer(at(0), nobody)
	task.Claim("b", 1, at(5))
	require.True(t, task.Pass("b", 1), "it lets go")
	to, ok := task.Offer(at(6), nobody)
	require.True(t, ok)
	require.EqualValues(t, "c", to)
	require.Equal(t, []string{"not-asked"}, run(t, task, "b+"))
}

func TestAllHaveNoPlane(t *testing.T) {
	task := one("b", "c")
	task.Offer(at(0), nobody)
	require.True(t, task.Pass("b", 1))
	to, ok := task.Offer(at(0), nobody)
	require.True(t, ok, "b said so: c at once")
	require.EqualValues(t, "c", to)
	require.True(t, task.Pass("c", 2))
	_, ok = task.Offer(at(0), nobody)
	require.False(t, ok)
	to, ok = task.Offer(at(2), nobody)
	require.True(t, ok, "a new round")
	require.EqualValues(t, "b", to)
	leave, _ := task.Claim("b", 3, at(2))
	require.True(t, leave)
}

func TestTurnExpires(t *testing.T) {
	task := one("b", "c")
	task.Deadline, task.OnDeadline = time.Minute, topology.DeadlineFail
	order, dead := task.Expire(at(59), time.Hour)
	require.Nil(t, order)
	require.False(t, dead)
	order, dead = task.Expire(at(60), time.Hour)
	require.False(t, dead)
	require.Equal(t, []bridge.Do{bridge.Pass, bridge.Pass}, fulfil(t, task, []Order{*order}, at(60)))
	require.True(t, task.Over())

	task = one("b", "c")
	order, dead = task.Expire(at(3600), time.Hour)
	require.Nil(t, order)
	require.True(t, dead)
	require.True(t, task.Over())
}
