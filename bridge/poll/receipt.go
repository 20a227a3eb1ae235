package poll

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// A receipt is what was made of a post. It is stored before anything is published,
// so that whoever posts it again, at whichever replica, gets the same event.
type receipt struct {
	ID      string    `json:"id"`
	Time    string    `json:"time"`
	Context string    `json:"context"`
	At      time.Time `json:"at"`
	Done    bool      `json:"done,omitempty"` // it is stored, and the stamp's clients have it

	rev uint64 // sequence of the receipt
}

const postSubject = "post."

// newReceipt gives an event its id, time and context.
func newReceipt(p *posted) *receipt {
	now := time.Now().UTC()
	r := &receipt{ID: newUUID(), Time: now.Format("2006-01-02T15:04:05.000000000Z"), Context: bridge.ContextOf(p.Context), At: now}
	if r.Context == "" {
		r.Context = newUUID()
	}
	return r
}

// receiptKey returns what two posts of the same event have in common, and for how
// long that is remembered. A post that says which event it is, by its id or by what
// it answers, is a retry whenever it comes. Two without that may be two requests
// for the same thing, and are one only while a client may still be trying.
func (s *Server) receiptKey(plane string, p *posted, id string, body []byte) (key string, window time.Duration) {
	window = s.cfg.Window
	if id == "" {
		id = p.ID
	}
	if id == "" {
		sum := sha256.Sum256(body)
		id = "body:" + string(sum[:])
		if bridge.Classify(*p.Type) != bridge.KindTaskAnswer {
			window = min(s.cfg.Retry, window)
		}
	}
	h := sha256.New()
	for _, part := range []string{plane, *p.Type, p.Context, p.TriggeredID, *p.Source, id} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // never fails
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]), window
}

// claimTries bounds how often a receipt is read and written that others write, too.
const claimTries = 5

// claim stores a receipt unless there is one, and returns the one that counts.
func (s *Server) claim(ctx context.Context, key string, mine *receipt, window time.Duration) (*receipt, error) {
	b, err := json.Marshal(mine)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", StreamPost, err)
	}
	rev := uint64(0)
	for try := 1; ; try++ {
		ack, err := s.write(ctx, &nats.Msg{Subject: postSubject + key, Data: b}, jetstream.WithExpectLastSequencePerSubject(rev))
		if err == nil {
			mine.rev = ack.Sequence
			return mine, nil
		}
		var api *jetstream.APIError
		if !errors.As(err, &api) || !strings.Contains(api.Description, "wrong last sequence") || try == claimTries {
			return nil, fmt.Errorf("write %s: %w", StreamPost, err)
		}
		other, err := s.receipt(ctx, key)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // on its way through the replicas, or just gone
			rev = 0
			pause(ctx, writePause)
		case err != nil:
			return nil, err
		case mine.At.Sub(other.At) < window:
			return other, nil
		default:
			rev = other.rev
		}
	}
}

func (s *Server) receipt(ctx context.Context, key string) (*receipt, error) {
	limit, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	var m *jetstream.RawStreamMsg
	for {
		once, stop := context.WithTimeout(limit, askTimeout)
		var err error
		m, err = s.open.Load().posts.GetLastMsgForSubject(once, postSubject+key)
		stop()
		if err == nil {
			break
		}
		if !s.again(limit, err) {
			return nil, fmt.Errorf("read %s: %w", StreamPost, err)
		}
	}
	r := &receipt{rev: m.Sequence}
	if err := json.Unmarshal(m.Data, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", StreamPost, err)
	}
	return r, nil
}

// note stores that a receipt is done. It is not waited for: should it be lost, a
// retry stores the event again, which is refused, and gives the stamp's clients a
// second copy.
func (s *Server) note(key string, r *receipt) {
	b, err := json.Marshal(r)
	if err != nil {
		return
	}
	_, err = s.js.PublishAsync(postSubject+key, b, jetstream.WithExpectLastSequencePerSubject(r.rev))
	if err != nil {
		s.cfg.Log.Debug("post not noted as done", "stream", StreamPost, "err", err)
	}
}

// flights are the posts that are under way in this process.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
}

type flight struct {
	done    chan struct{} // closed when the following are set
	context string
	err     error
}

// board returns the flight of a key, and whether the caller is the one to make it.
func (f *flights) board(key string) (one *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.byKey[key]; one != nil {
		return one, false
	}
	one = &flight{done: make(chan struct{})}
	f.byKey[key] = one
	return one, true
}

func (f *flights) land(key string, one *flight, context string, err error) {
	one.context, one.err = context, err
	f.mu.Lock()
	delete(f.byKey, key)
	f.mu.Unlock()
	close(one.done)
}

// newUUID returns a random UUID.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
