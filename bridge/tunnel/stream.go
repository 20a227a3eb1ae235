package tunnel

import (
	"encoding/binary"
	"io"
	"net/http"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/topology"
)

const (
	// window is how many bytes of a body may be on their way, or wait for whoever
	// reads them. What a link carries of one body is at most this in a round trip.
	window = 4 * chunk
	// grantAfter is how many bytes are read before as many more are asked for: each
	// credit crosses all servers, as a frame of a body does.
	grantAfter = 2 * chunk
	// chunk is the most of a body in one frame: with its subject it fits the buffer
	// that ConnectOption asks for. A frame costs each server on its way about as
	// much as 100 KiB.
	chunk = 252 << 10
	// whole is up to which length a body is read before anything is sent.
	whole = 32 << 10
	// maxInfos bounds the 1xx answers that nobody has taken yet.
	maxInfos = 8
)

// ConnectOption is for the connection that a Client and a Server are given: its
// buffer holds a frame, so that each is written at once.
func ConnectOption() nats.Option { return nats.WriteBufferSize(256 << 10) }

// An answer is the head of a response, or of a 1xx one.
type answer struct {
	meta   fields
	header http.Header
	body   []byte
}

// A stream is one side of an exchange: the frames that it sends, in order, and
// the queue of bytes that have come and that nobody has read. One goroutine
// may read, one write, and any may end it.
type stream struct {
	fed  *nats.Conn
	me   topology.StampID
	peer topology.StampID

	accepted chan fields   // one place: the answer of a replica that took the request
	heads    chan answer   // one place: the answer
	infos    chan answer   // 1xx; one that finds no room is dropped
	over     chan struct{} // closed when the exchange has failed or is done

	mu      sync.Mutex // guards the fields below
	cond    sync.Cond  // something below has changed
	subject string     // where frames go; empty until it is known
	remote  uint64     // what the peer calls the exchange
	sent    uint32     // frames sent
	got     uint32     // frames received
	credit  int64      // bytes of body that may be sent
	queue   [][]byte   // bytes that nobody has read
	granted int64      // bytes that the peer may still send
	taken   int64      // bytes read since more were granted
	eof     bool       // the peer has sent its end
	ended   bool       // we have
	trailer http.Header
	err     *Error // why it is over
	ends    func() // called when it fails; may be nil
	done    bool   // it is over and was served
}

func newStream(fed *nats.Conn, me, peer topology.StampID) *stream {
	s := &stream{
		fed: fed, me: me, peer: peer,
		accepted: make(chan fields, 1), heads: make(chan answer, 1), infos: make(chan answer, maxInfos), over: make(chan struct{}),
	}
	s.cond.L = &s.mu
	return s
}

// deliver takes a frame from the peer. It never blocks.
func (s *stream) deliver(f frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.done {
		return
	}
	if f.seq != s.got {
		s.endLocked(fault(s.me, ReasonLost, "frames between %s and %s were lost", s.me, s.peer), true)
		return
	}
	s.got++
	if !s.take(f) {
		s.endLocked(fault(s.me, ReasonProtocol, "%s sent a frame that makes no sense here, kind %d", s.peer, f.kind), true)
		return
	}
	s.cond.Broadcast()
}

// take is deliver for one frame in its turn; the caller holds mu.
func (s *stream) take(f frame) bool {
	switch f.kind {
	case frameData:
		return s.push(f.body)
	case frameEnd:
		t, _, ok := parseFields(f.body)
		s.trailer, s.eof = t.header(), true
		return ok
	case frameCredit:
		if len(f.body) < 4 {
			return false
		}
		s.credit += int64(binary.BigEndian.Uint32(f.body))
		return true
	case frameReset:
		s.endLocked(parseReset(s.peer, f.body), false)
		return true
	case frameAccept:
		meta, _, ok := parseFields(f.body)
		return ok && offer(s.accepted, meta)
	case frameInfo, frameHead:
		var a answer
		var ok bool
		if a.meta, a.header, a.body, ok = parseHead(f.body); !ok {
			return false
		}
		if f.kind == frameInfo {
			offer(s.infos, a)
			return true
		}
		return offer(s.heads, a)
	}
	return false
}

// offer puts v into ch unless it is full.
func offer[T any](ch chan T, v T) bool {
	select {
	case ch <- v:
		return true
	default:
		return false
	}
}

// push queues bytes of the body; the caller holds mu.
func (s *stream) push(b []byte) bool {
	n := int64(len(b))
	if s.eof || n > s.granted {
		return false
	}
	if n > 0 {
		s.granted -= n
		s.queue = append(s.queue, b)
	}
	return true
}

// start says where frames go and how the peer calls the exchange.
func (s *stream) start(subject string, remote uint64, credit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subject, s.remote = subject, remote
	s.credit += credit
	if s.err != nil { // ended meanwhile, and could not say so
		s.sayLocked(frameReset, nil, s.err.meta())
	}
	s.cond.Broadcast()
}

// say sends a frame of fields. An error of the connection ends the stream.
func (s *stream) say(kind byte, parts ...fields) { s.sayWith(kind, nil, parts...) }

// sayWith is say with bytes of body behind the fields.
func (s *stream) sayWith(kind byte, body []byte, parts ...fields) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && !s.done {
		s.sayLocked(kind, body, parts...)
	}
}

func (s *stream) sayLocked(kind byte, body []byte, parts ...fields) {
	b := appendFrame(nil, kind, s.remote, s.sent)
	for _, p := range parts {
		b = p.append(b)
	}
	s.sendLocked(append(b, body...))
}

// sendLocked publishes under the lock, so that frames leave in the order of
// their numbers.
func (s *stream) sendLocked(b []byte) {
	s.sent++
	if err := s.fed.Publish(s.subject, b); err != nil {
		s.endLocked(fault(s.me, ReasonLost, "send to %s: %v", s.peer, err), false)
	}
}

// open lets the peer send n more bytes, without saying so.
func (s *stream) open(n int64) {
	s.mu.Lock()
	s.granted += n
	s.mu.Unlock()
}

// grant lets the peer send n more bytes.
func (s *stream) grant(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && !s.done && !s.eof {
		s.grantLocked(n)
	}
}

func (s *stream) grantLocked(n int64) {
	s.granted += n
	b := appendFrame(make([]byte, 0, frameLen+4), frameCredit, s.remote, s.sent)
	s.sendLocked(binary.BigEndian.AppendUint32(b, uint32(n))) //nolint:gosec // at most a window
}

// fail ends the exchange with err and tells the peer. The first end counts.
func (s *stream) fail(err *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(err, true)
}

func (s *stream) endLocked(err *Error, tell bool) {
	if s.err != nil || s.done {
		return
	}
	s.err = err
	if tell {
		s.queue = nil // what came before the peer broke off is still read
	}
	close(s.over)
	if s.ends != nil {
		s.ends()
	}
	s.cond.Broadcast()
	if tell && s.subject != "" {
		s.sayLocked(frameReset, nil, err.meta())
	}
}

// onEnd calls f when the exchange fails, at once if it has. f must not block.
func (s *stream) onEnd(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends = f; s.err != nil {
		f()
	}
}

// finish ends an exchange that was served.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && !s.done {
		s.done = true
		close(s.over)
		s.cond.Broadcast()
	}
}

// failure returns why the exchange is over, or nil.
func (s *stream) failure() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Read returns bytes of the body in their order; io.EOF at its end, or an
// *Error.
func (s *stream) Read(p []byte) (int, error) {
	b, err := s.next(len(p))
	return copy(p, b), err
}

// next is Read without a copy: it waits for bytes and returns at most limit.
func (s *stream) next(limit int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.eof && s.err == nil && !s.done {
		s.cond.Wait()
	}
	switch {
	case s.err != nil && len(s.queue) == 0:
		return nil, s.err
	case len(s.queue) == 0 && !s.eof:
		return nil, io.ErrClosedPipe // an end here would make a truncated body look whole
	case len(s.queue) == 0:
		return nil, io.EOF
	}
	b := s.queue[0]
	if len(b) > limit {
		b, s.queue[0] = b[:limit], b[limit:]
	} else {
		s.queue[0] = nil
		if s.queue = s.queue[1:]; len(s.queue) == 0 {
			s.queue = nil // its array would grow for ever
		}
	}
	s.taken += int64(len(b))
	if s.taken >= grantAfter && !s.eof && !s.done && s.err == nil {
		more := s.taken
		s.taken = 0
		s.grantLocked(more)
	}
	return b, nil
}

// waits reports whether a next call would wait.
func (s *stream) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) == 0 && !s.eof && s.err == nil && !s.done
}

// room waits until some of n bytes may be sent and returns how many.
func (s *stream) room(n int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.credit <= 0 && s.err == nil && !s.done {
		s.cond.Wait()
	}
	switch {
	case s.err != nil:
		return 0, s.err
	case s.done:
		return 0, io.ErrClosedPipe
	}
	return int(min(int64(n), s.credit)), nil
}

// data sends b[frameLen:], which room has allowed; the start of b is written
// over.
func (s *stream) data(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.done || s.ended {
		return
	}
	s.credit -= int64(len(b) - frameLen)
	appendFrame(b[:0], frameData, s.remote, s.sent)
	s.sendLocked(b)
}

// sendEnd sends the end of this direction.
func (s *stream) sendEnd(trailer http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && !s.done && !s.ended {
		s.ended = true
		s.sayLocked(frameEnd, nil, headerFields(trailer))
	}
}

// trailers returns what came with the end; nil before.
func (s *stream) trailers() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer
}
