package node

import (
	"time"
	_ "unsafe" // for go:linkname
)

// This file sets variables of nats-server for which it has no option, before any
// server of the process starts, the same for the whole process.

// gatewayRetry is the pause before a link server dials another hub again. The
// server's own is 1 s, which is most of what a federation needs to go on after
// a cut. TestGatewayIsDialledSoon fails if an update no longer takes it.
const gatewayRetry = 250 * time.Millisecond

//go:linkname serverGatewayConnect github.com/nats-io/nats-server/v2/server.gatewayConnectDelay
var serverGatewayConnect time.Duration

//go:linkname serverGatewayReconnect github.com/nats-io/nats-server/v2/server.gatewayReconnectDelay
var serverGatewayReconnect time.Duration

// statsInterval is how often a server tells all others of the federation how it
// is, which each of them decodes. The server's own is 10 s; a server that was not
// heard for 150 s is taken to be gone.
const statsInterval = 30 * time.Second

//go:linkname serverStats github.com/nats-io/nats-server/v2/server.statsHBInterval
var serverStats time.Duration

// How soon the replicas of a stamp notice that a leader of theirs is gone, and
// choose another. nats-server's own times (heartbeats of 1 s, elections after 4
// to 9 s) are made for clusters over continents, and it has no option for
// them; replicas of a stamp are in one cluster, and the promise is a hand-over
// in 3 s. TestReplicaIsElectedInTime fails if an update of the server no longer
// takes them.
//
// docs/adr/0006-one-active-replica.md argues for it.
const (
	raftHeartbeat   = 150 * time.Millisecond
	raftMinElection = 600 * time.Millisecond
	raftMaxElection = 1200 * time.Millisecond
	raftMinCampaign = 50 * time.Millisecond // of a new group, before anybody leads it
	raftMaxCampaign = 250 * time.Millisecond
	raftLostQuorum  = 3 * time.Second
)

//go:linkname serverHeartbeat github.com/nats-io/nats-server/v2/server.hbInterval
var serverHeartbeat time.Duration

//go:linkname serverMinElection github.com/nats-io/nats-server/v2/server.minElectionTimeout
var serverMinElection time.Duration

//go:linkname serverMaxElection github.com/nats-io/nats-server/v2/server.maxElectionTimeout
var serverMaxElection time.Duration

//go:linkname serverMinCampaign github.com/nats-io/nats-server/v2/server.minCampaignTimeout
var serverMinCampaign time.Duration

//go:linkname serverMaxCampaign github.com/nats-io/nats-server/v2/server.maxCampaignTimeout
var serverMaxCampaign time.Duration

//go:linkname serverLostQuorum github.com/nats-io/nats-server/v2/server.lostQuorumInterval
var serverLostQuorum time.Duration

//go:linkname serverLostQuorumCheck github.com/nats-io/nats-server/v2/server.lostQuorumCheck
var serverLostQuorumCheck time.Duration

func init() { //nolint:gochecknoinits // before any server of this process starts, or it would be a race
	serverGatewayConnect, serverGatewayReconnect = gatewayRetry, gatewayRetry
	serverStats = statsInterval
	serverHeartbeat = raftHeartbeat
	serverMinElection, serverMaxElection = raftMinElection, raftMaxElection
	serverMinCampaign, serverMaxCampaign = raftMinCampaign, raftMaxCampaign
	serverLostQuorum, serverLostQuorumCheck = raftLostQuorum, raftHeartbeat
}
