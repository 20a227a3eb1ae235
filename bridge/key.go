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
	k := keyText(id, typ, subject)
	return string(k[:])
}

// isKey reports whether k is the Key of the event with this id, type and subject.
func isKey(k Key, id, typ, subject string) bool {
	is := keyText(id, typ, subject)
	return string(is[:]) == k
}

func keyText(id, typ, subject string) (text [keyLen]byte) {
	var small [512]byte // enough for every event there is, and then on the stack
	b := small[:0]
	for _, s := range [...]string{id, typ, subject} {
		b = append(b, s...)
		b = append(b, 0)
	}
	h := sha256.Sum256(b)
	base64.RawURLEncoding.Encode(text[:], h[:16])
	return text
}

// A Digest is a Key without its text form, for memories of very many.
type Digest [16]byte

// DigestOf returns the Digest of a Key. What is no Key has one as well.
func DigestOf(k Key) (d Digest) {
	if len(k) == keyLen { // a longer one has no room, and would panic
		if n, err := strict.Decode(d[:], []byte(k)); err == nil && n == len(d) {
			return d
		}
	}
	sum := sha256.Sum256([]byte(k))
	copy(d[:], sum[:])
	return d
}

// strict takes no two texts for the same bytes.
var strict = base64.RawURLEncoding.Strict()
