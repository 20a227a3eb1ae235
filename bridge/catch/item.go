package catch

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
)

// A hash tells one message from another, the same in every replica. Messages
// that say the same have the same.
type hash [16]byte

func hashes(b []byte) []hash {
	out := make([]hash, 0, len(b)/len(hash{}))
	for part := range slices.Chunk(b, len(hash{})) {
		if len(part) == len(hash{}) {
			out = append(out, hash(part))
		}
	}
	return out
}

// An item is one message on its way into the stream.
type item struct {
	msg   *nats.Msg // as it will be stored, without reply
	reply string    // of who published it
	order string    // items with the same order are stored one after the other
	hash  hash
	at    time.Time // when it was heard
	place place
	n     uint64    // of the last try
	sent  time.Time // the last try
}

// A place says where an item is.
type place int

const (
	idle   place = iota // in its order only
	queued              // waits for a place in flight
	flying              // sent and not answered
)

func newItem(subject string, m *nats.Msg) *item {
	it := &item{reply: m.Reply, order: orderOf(subject, m.Data), at: time.Now()}
	it.msg = &nats.Msg{Subject: bridge.StorePrefix + subject, Header: nats.Header{}, Data: m.Data}
	for k, v := range m.Header {
		// What a client asks of a stream in its headers is not for this one.
		if k == nats.MsgIdHdr || !strings.HasPrefix(k, "Nats-") {
			it.msg.Header[k] = v
		}
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\x00%s\x00", subject, m.Header.Get(nats.MsgIdHdr))
	h.Write(m.Data)
	copy(it.hash[:], h.Sum(nil))
	return it
}

// orderOf returns what events that keep their order have in common.
func orderOf(subject string, body []byte) string {
	if e, err := bridge.Parse(subject, body); err == nil && e.Context != "" {
		return e.Context
	}
	return subject
}

// An answer is what the stream says of a try.
type answer struct {
	n    uint64
	data []byte
	err  error
}

var (
	// errNoStream reports that nothing listens on behalf of the stream: it was
	// not made yet or its leader is gone.
	errNoStream = errors.New("the stream has no leader")
	// errNoAnswer reports a stream that did not answer in time.
	errNoAnswer = errors.New("no answer in time")
)

func verdict(m *nats.Msg) error {
	if m.Header.Get("Status") == "503" {
		return errNoStream
	}
	var ack struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if ack.Error != nil {
		return errors.New(ack.Error.Description)
	}
	return nil
}
