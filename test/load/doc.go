// Package load runs federations of many hubs and leaves in one process, as
// whole gateways, and measures what they cost and how soon they get over the
// loss of a hub. `make load` runs the sizes that docs/scale.md is fitted to;
// each writes one line of JSON.
package load
