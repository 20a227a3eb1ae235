package tunnel

import (
	"encoding/binary"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// This file is the heartbeat. While a client has exchanges with a replica, it
// pings it. Each ping lists the exchanges that were not compared for a while,
// with how many frames were sent; the pong says the same of the other
// direction. Frames between two processes keep their order, so whoever reads
// a list has got everything that was sent before it, or it was lost.

const (
	// patience is after how many heartbeats in silence the other side is gone.
	patience = 10
	// compareEvery is after how many heartbeats an exchange is compared again.
	compareEvery = 5
	// maxListed bounds the exchanges in one ping.
	maxListed = 4096
	// gone stands for the number of frames in a pong: the exchange is not known.
	gone = ^uint32(0)

	pingEntry = 8 + 8 + 4 // the replica's number of it, the client's, frames sent
	pongEntry = 8 + 4     // the client's number of it, frames sent
)

type peerKey struct {
	stamp   topology.StampID
	replica string
}

// A peer is a replica that works for this client; guarded by Client.mu.
type peer struct {
	peerKey
	subject string
	heard   time.Time // when it last said anything
	calls   int       // exchanges, as of the current beat
	list    []byte    // what the next ping says
}

// beat pings every replica that works for us and lets go of those that are
// silent or have nothing to do.
func (c *Client) beat(now time.Time) {
	var silent []peerKey
	c.mu.Lock()
	for _, p := range c.peers {
		p.calls, p.list = 0, nil
	}
	for _, x := range c.open {
		if x.peer == nil {
			continue
		}
		x.peer.calls++
		if now.Sub(x.listed) < compareEvery*c.cfg.Heartbeat || len(x.peer.list) >= maxListed*pingEntry {
			continue
		}
		x.listed = now
		remote, sent := x.progress()
		b := binary.BigEndian.AppendUint64(x.peer.list, remote)
		b = binary.BigEndian.AppendUint64(b, x.number)
		x.peer.list = binary.BigEndian.AppendUint32(b, sent)
	}
	for key, p := range c.peers {
		switch {
		case p.calls == 0:
			delete(c.peers, key)
		case now.Sub(p.heard) > patience*c.cfg.Heartbeat:
			silent = append(silent, key)
		default:
			c.ping(p)
		}
	}
	c.mu.Unlock()
	for _, key := range silent {
		c.lose(key, "it has not answered for "+(patience*c.cfg.Heartbeat).String())
	}
}

// ping asks a replica whether it is there; the reply subject is for our own
// NATS, to say that it is not.
func (c *Client) ping(p *peer) {
	b := appendFrame(make([]byte, 0, frameLen+1+len(c.name)+len(p.list)), framePing, 0, 0)
	b = append(b, byte(len(c.name)))
	b = append(b, c.name...)
	b = append(b, p.list...)
	reply := bridge.HTTPReply(c.cfg.Me, p.stamp, c.name, "pong."+p.replica)
	if err := c.cfg.Fed.PublishRequest(p.subject, reply, b); err != nil {
		c.cfg.Log.Debug("replica not pinged", "peer", p.stamp, "err", err)
	}
}

// pong compares what a replica has sent with what has come.
func (c *Client) pong(from topology.StampID, replica string, list []byte) {
	type pair struct {
		x    *call
		sent uint32
	}
	var pairs []pair
	c.mu.Lock()
	if p := c.peers[peerKey{from, replica}]; p != nil {
		p.heard = time.Now()
	}
	for ; len(list) >= pongEntry; list = list[pongEntry:] {
		if x := c.open[binary.BigEndian.Uint64(list)]; x != nil && x.to == from {
			pairs = append(pairs, pair{x, binary.BigEndian.Uint32(list[8:])})
		}
	}
	c.mu.Unlock()
	for _, p := range pairs {
		p.x.compare(p.sent)
	}
}

// lose ends every exchange with a replica.
func (c *Client) lose(key peerKey, why string) {
	var lost []*call
	c.mu.Lock()
	delete(c.peers, key)
	for _, x := range c.open {
		if x.peer != nil && x.peer.peerKey == key {
			lost = append(lost, x)
		}
	}
	c.mu.Unlock()
	if len(lost) > 0 {
		c.cfg.Log.Warn("replica lost", "peer", key.stamp, "n", len(lost), "reason", why)
	}
	for _, x := range lost {
		x.fail(fault(c.cfg.Me, ReasonLost, "the replica of stamp %s that had the request is lost: %s", key.stamp, why))
	}
}

// progress returns how the peer calls the exchange, and the number of frames
// sent.
func (s *stream) progress() (remote uint64, sent uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remote, s.sent
}

// compare ends the exchange if the peer has sent more than has come, or knows
// nothing of it although it is not over.
func (s *stream) compare(sent uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sent == s.got || sent == gone && s.eof {
		return
	}
	s.endLocked(fault(s.me, ReasonLost, "frames between %s and %s were lost", s.peer, s.me), true)
}
