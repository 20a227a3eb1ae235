package bridge

import (
	"crypto/sha256"
	"encoding/base64"
)

// A Key is the identity of an event over all hops: a digest of its id, type
// and subject. Two copies of an event have the same Key wherever and whenever
// they are seen; Keptn counts a repeated answer twice, so no stamp may be given
// both. It is a NATS token of 22 characters.
type Key = string

// KeyOf returns the Key of the event with this id, type and subject.
func KeyOf(id, typ, subject string) Key {
	h := sha256.New()
	for _, s := range [...]string{id, typ, subject} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}
