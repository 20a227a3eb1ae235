// Package lead decides which of the replicas of a stamp is active: the one
// that forwards and delivers, while the others stand by.
//
// A Lease is the last record on one subject of the stream RW_LEAD, which lies
// in the stamp's own JetStream and has as many replicas as the stamp. Who holds
// it renews it by writing the next record, on the condition that the last one
// is still its own; who wants it writes on the condition that the last record
// is the one it has seen. So of several writers one wins, and a majority of the
// replicas has agreed to it.
//
// No clock is compared with another. The holder counts from the moment before
// it asked for the renewal that was granted, and acts no longer than TTL after
// that. Another counts from the moment when it saw that record, which is later,
// and waits for TTL and a margin. Both use the monotonic clock of their own
// machine, so a wrong wall clock makes no difference.
//
// Where it is known that a holder reaches no majority (Config.Gone) the others do
// not wait. It may then believe for the rest of TTL that it is active, and cannot
// do more than a holder that was suspended and goes on: what it writes needs the
// majority too, and is written on a condition.
//
// On disk: RW_LEAD, in account RELAY. Losing it or rolling it back makes the
// replicas choose again, after at most TTL and margin.
package lead
