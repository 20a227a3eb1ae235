package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
)

// packing is what Pack needs to make one pack. Lanes share it: there is one for each
// target, and few of them make packs at the same time.
type packing struct{ plain, small []byte }

var packings = sync.Pool{New: func() any { return new(packing) }}

// Pack returns the body of a pack as it travels: that of [AppendPack], or, where that is
// shorter, a 2 and behind it as a block of S2 what AppendPack has behind its 1.
//
// What several events have in common is told once, which makes Keptn's about a third
// as long. They pass three TLS links, four servers and a file, and a byte there
// costs more than it takes to make it less. Pack is safe for concurrent use.
func Pack(copies []*Copy) []byte {
	p := packings.Get().(*packing) //nolint:errcheck,forcetypeassert // see above
	defer packings.Put(p)
	p.plain = AppendPack(p.plain[:0], copies)
	if most := 1 + s2.MaxEncodedLen(len(p.plain)); len(p.small) < most {
		p.small = make([]byte, most)
	}
	p.small[0] = packS2
	n := 1 + len(s2.Encode(p.small[1:], p.plain[1:]))
	if n >= len(p.plain) {
		return bytes.Clone(p.plain)
	}
	return bytes.Clone(p.small[:n])
}

var errTooLong = errors.New("longer than a pack may be")

// unpacked returns what a pack has behind its first byte, as AppendPack made it.
func unpacked(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrPack)
	}
	switch format := data[0]; format {
	case packPlain:
		return data[1:], nil
	case packS2:
		return inflated(data[1:])
	default:
		return nil, fmt.Errorf("%w: format %d", ErrPack, format)
	}
}

// Inflated returns a pack as AppendPack made it, for people: one that is not compressed,
// or cannot be read, is returned as it is.
func Inflated(data []byte) []byte {
	plain, err := unpacked(data)
	if err != nil || data[0] == packPlain {
		return data
	}
	return append([]byte{packPlain}, plain...)
}

// maxInflated bounds what is read of a compressed pack. The block says how long it is,
// and a few bytes must not take gigabytes; that it is more than is sent leaves room for
// a version that sends more.
const maxInflated = 1 << 20

// inflated returns what is in a block of S2.
func inflated(block []byte) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	switch {
	case err != nil:
	case n > maxInflated:
		err = errTooLong
	default:
		var plain []byte
		if plain, err = s2.Decode(make([]byte, n), block); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("%w: %d bytes, compressed from %d: %w", ErrPack, len(block), n, err)
}
