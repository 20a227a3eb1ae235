package bridge

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// A Packer makes the bodies of packs as they travel: what several events have in
// common is told once, which makes Keptn's three to seven times smaller. They pass
// three TLS links, four servers and a file, and a byte there costs more than it takes to
// make it smaller. Its zero value is ready. It is not safe for concurrent use.
type Packer struct{ plain, small []byte }

// Pack returns the body of a pack, which is the caller's: that of [AppendPack], or, where
// it is shorter, a 2 and behind it as a block of S2 what AppendPack has behind its 1.
func (p *Packer) Pack(copies []*Copy) []byte {
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

// inflated returns what is in a block of S2. The block says how long that is: a few
// bytes must not take gigabytes.
func inflated(block []byte) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	switch {
	case err != nil:
	case n > MaxPackBytes:
		err = errTooLong
	default:
		var plain []byte
		if plain, err = s2.Decode(make([]byte, n), block); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("%w: %d bytes, compressed from %d: %w", ErrPack, len(block), n, err)
}
