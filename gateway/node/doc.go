// Package node runs the NATS servers of one stamp inside this process.
//
// A stamp has a local server: it serves the stamp's own clients, owns its
// JetStream (in a domain named like the stamp) and needs nobody else to start,
// store and serve. A hub has a link server as well: it carries the gateways to
// the other hubs and the leafnode and WebSocket listeners for leaf stamps,
// stores nothing, and can restart while the clients of the stamp stay. The two
// are joined by a leafnode that carries the account FED and nothing else. The
// local server of a leaf stamp dials a hub instead.
//
// Links are trusted by certificate: a gateway peer is admitted only with a
// certificate of the federation's CA and the name of a hub of the topology. A
// leaf is held to its own name by the permissions of its JWT.
//
// A Node takes plain data: tokens as strings, keys and certificates as paths
// of files, which it reads again when they change. Options are a pure
// translation of that; each facet of the servers has a file of its own. On
// disk a Node keeps JetStream's store, which belongs to it alone and must not
// be lost or rolled back, and a lock file, which may be.
package node
