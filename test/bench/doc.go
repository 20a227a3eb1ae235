// Package bench measures what the gateway costs and how soon events arrive,
// each against a baseline in the same run: plain NATS through the same links,
// and streams that source from each other, which is what NATS offers by itself.
//
// Subject and baselines take turns, a few seconds each, so that what else the
// machine does meets all of them; a figure is the median of the ratios of these
// turns. `make bench` prints the table of docs/benchmarks.md.
package bench
