// Package chaos runs a federation through random trouble and then balances
// the books.
//
// One seed makes one schedule: links are cut, slowed down and silenced, stamps
// stopped and started, planes taken away, the topology changed. Meanwhile
// several control planes trigger tasks at a steady rate and planes answer.
// Afterwards everything heals, and every event must be accounted for exactly
// once, in order, and every task closed as Keptn closes it.
//
//	go test ./test/chaos                    # a few fixed seeds
//	make chaos                              # fresh seeds, which it prints
//	make chaos SEED=7 FOR=60s               # one seed again, for as long
//
// The schedule is replayed exactly; the machine's timing is not.
package chaos
