package tunnel

import (
	"encoding/binary"
	"net/http"
	"strconv"
)

// Kinds of frames. They are on the wire: never changed, only added. A kind that
// is not known ends the exchange.
const (
	frameAsk    byte = 1 + iota // client: meta, header, start of the body
	frameAccept                 // replica: meta; it has the request
	frameInfo                   // replica: meta, header of a 1xx answer
	frameHead                   // replica: meta, header, start of the body
	frameData                   // either: bytes of a body, or of an upgraded connection
	frameEnd                    // either: the trailers; nothing follows in this direction
	frameCredit                 // either: how many more bytes of body the other may send
	frameReset                  // either: meta; the exchange is over and this is why
	framePing                   // client: exchanges that are open; see peer.go
	framePong                   // replica: what has become of them
)

// frameLen is the length of what every frame starts with: kind, the number by
// which the receiver knows the exchange, and the number of the frame in its
// direction.
const frameLen = 1 + 8 + 4

// maxHead bounds meta and header of a request or an answer, in bytes.
const maxHead = 256 << 10

// Names in the meta of a frame. One that is not known is passed over.
const (
	metaClient  = "client"  // ask: name of the asking process
	metaMethod  = "method"  // ask
	metaTarget  = "target"  // ask: request target as it was received
	metaHost    = "host"    // ask: the Host that the client named
	metaLength  = "length"  // ask, head: of the body, in bytes; absent if not known
	metaTrailer = "trailer" // ask, head: a trailer that is to come; once for each
	metaWhole   = "whole"   // ask, head: the body in this frame is all of it
	metaWindow  = "window"  // ask, accept: bytes of body that may be sent at first
	metaTimeout = "timeout" // ask: milliseconds until the client gives up; absent: never
	metaUpgrade = "upgrade" // ask: the client wants to change to this protocol
	metaReplica = "replica" // accept: where the next frames go
	metaID      = "id"      // accept: what the replica calls the exchange
	metaStatus  = "status"  // info, head, reset
	metaReason  = "reason"  // reset: one of the reasons of Error
	metaMessage = "message" // reset
	metaRetry   = "retry"   // reset: seconds until another try makes sense
	metaUndone  = "undone"  // reset: the upstream has seen nothing of it
)

// appendFrame appends what every frame starts with.
func appendFrame(b []byte, kind byte, id uint64, seq uint32) []byte {
	b = append(b, kind)
	b = binary.BigEndian.AppendUint64(b, id)
	return binary.BigEndian.AppendUint32(b, seq)
}

// A frame is one message between the two sides of an exchange.
type frame struct {
	kind byte
	id   uint64
	seq  uint32
	body []byte
}

func parseFrame(b []byte) (frame, bool) {
	if len(b) < frameLen {
		return frame{}, false
	}
	return frame{b[0], binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint32(b[9:]), b[frameLen:]}, true
}

// fields is a list of names and values. Both are bytes of any kind.
type fields [][2]string

func (f *fields) add(name, value string)   { *f = append(*f, [2]string{name, value}) }
func (f *fields) num(name string, n int64) { f.add(name, strconv.FormatInt(n, 10)) }

// get returns the first value of name, or "".
func (f *fields) get(name string) string {
	for _, e := range *f {
		if e[0] == name {
			return e[1]
		}
	}
	return ""
}

// int returns the first value of name, or or if there is none that is a number
// of at least 0.
func (f *fields) int(name string, or int64) int64 {
	n, err := strconv.ParseInt(f.get(name), 10, 64)
	if err != nil || n < 0 {
		return or
	}
	return n
}

// headerFields returns h as fields.
func headerFields(h http.Header) fields {
	var f fields
	for name, values := range h {
		for _, v := range values {
			f.add(name, v)
		}
	}
	return f
}

// header returns f as a header; names are kept as they are.
func (f *fields) header() http.Header {
	h := make(http.Header, len(*f))
	for _, e := range *f {
		h[e[0]] = append(h[e[0]], e[1])
	}
	return h
}

// append appends f: how many there are, then each name and value with its
// length before it.
func (f *fields) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(*f)))
	for _, e := range *f {
		for _, s := range e {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return b
}

// parseFields reads fields from the start of b and returns what follows them.
func parseFields(b []byte) (fields, []byte, bool) {
	n, b, ok := uvarint(b)
	if !ok || n > uint64(len(b)) { // a field takes two bytes and more
		return nil, nil, false
	}
	f := make(fields, n)
	for i := range f {
		for j := range 2 {
			var l uint64
			if l, b, ok = uvarint(b); !ok || l > uint64(len(b)) {
				return nil, nil, false
			}
			f[i][j], b = string(b[:l]), b[l:]
		}
	}
	return f, b, true
}

func uvarint(b []byte) (uint64, []byte, bool) {
	n, l := binary.Uvarint(b)
	if l <= 0 {
		return 0, nil, false
	}
	return n, b[l:], true
}

// parseHead reads meta and header of an ask, an info or a head, and returns the
// body behind them.
func parseHead(b []byte) (meta fields, header http.Header, body []byte, ok bool) {
	if meta, b, ok = parseFields(b); !ok {
		return nil, nil, nil, false
	}
	var h fields
	if h, body, ok = parseFields(b); !ok {
		return nil, nil, nil, false
	}
	return meta, h.header(), body, true
}
