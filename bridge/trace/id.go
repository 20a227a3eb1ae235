package trace

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"strings"
)

// An ID is that of a trace.
type ID [16]byte

// A SpanID is that of a span. Zero is none.
type SpanID [8]byte

// Of returns the trace of a shkeptncontext: the bytes of the UUID that it is, or
// else the beginning of its hash. The id of an event stands for a missing context.
func Of(context, event string) ID {
	if context == "" {
		context = "event:" + event
	}
	var id ID
	if len(context) == 36 && context[8] == '-' && context[13] == '-' && context[18] == '-' && context[23] == '-' {
		var b [32]byte
		n := 0
		for i := range len(context) {
			if context[i] != '-' && n < len(b) {
				b[n] = context[i]
				n++
			}
		}
		if _, err := hex.Decode(id[:], b[:]); err == nil && n == len(b) && id != (ID{}) {
			return id
		}
	}
	sum := sha256.Sum256([]byte(context))
	copy(id[:], sum[:])
	return id
}

// spanOf returns the id of the span of a step of an event. parts say where.
func spanOf(step, event string, parts ...string) SpanID {
	h := fnv.New64a()
	for _, p := range append([]string{step, event}, parts...) {
		_, _ = h.Write([]byte(p)) // it never fails
		_, _ = h.Write([]byte{0})
	}
	var id SpanID
	binary.BigEndian.PutUint64(id[:], h.Sum64()|1) // not zero
	return id
}

// lot is a number below 1 that is the same for a trace wherever it is asked. It
// is made of the last seven bytes, which are random in a UUID of version 4; those
// before say in part which version it is.
func (id ID) lot() float64 {
	return float64(binary.BigEndian.Uint64(id[8:])&(1<<56-1)) / (1 << 56)
}

// A Parent is what the header traceparent says.
type Parent struct {
	Trace   ID
	Span    SpanID
	Sampled bool
}

// ParseParent reads a header; ok is false if it is none, or not well formed.
func ParseParent(s string) (p Parent, ok bool) {
	f := strings.Split(s, "-")
	if len(f) < 4 || len(f[0]) != 2 || f[0] == "ff" || len(f[1]) != 32 || len(f[2]) != 16 || len(f[3]) != 2 || f[0] == "00" && len(f) != 4 {
		return p, false
	}
	var version, flags [1]byte
	for i, to := range [][]byte{version[:], p.Trace[:], p.Span[:], flags[:]} {
		if _, err := hex.Decode(to, []byte(f[i])); err != nil || f[i] != strings.ToLower(f[i]) {
			return Parent{}, false
		}
	}
	p.Sampled = flags[0]&1 == 1
	return p, p.Trace != ID{} && p.Span != SpanID{}
}

// String writes the header.
func (p Parent) String() string {
	flags := "00"
	if p.Sampled {
		flags = "01"
	}
	return "00-" + hex.EncodeToString(p.Trace[:]) + "-" + hex.EncodeToString(p.Span[:]) + "-" + flags
}
