package tunnel

import (
	"errors"
	"io"
	"sync"
)

// small is how much is read at a time of a body of which little comes.
const small = 1 << 10

// large keeps buffers of a frame each for bodies of which much comes.
var large sync.Pool

// borrow returns a buffer that is to be given back to large.
func borrow() *[frameLen + chunk]byte {
	if b, ok := large.Get().(*[frameLen + chunk]byte); ok {
		return b
	}
	return new([frameLen + chunk]byte)
}

// copyFrom sends r to its end, and returns what r failed with or the stream.
// each, which may be nil, is called with the length of each part and may refuse
// it. The buffer is a large one while r fills it, so one that is idle holds
// little.
func (s *stream) copyFrom(r io.Reader, each func(n int) *Error) error {
	var little [frameLen + small]byte
	var big *[frameLen + chunk]byte
	defer func() {
		if big != nil {
			large.Put(big)
		}
	}()
	buf := little[:]
	for {
		k, err := s.room(len(buf) - frameLen)
		if err != nil {
			return err
		}
		n, err := r.Read(buf[frameLen : frameLen+k])
		if n > 0 {
			if each != nil {
				if e := each(n); e != nil {
					return e
				}
			}
			s.data(buf[:frameLen+n])
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case big == nil && n == small:
			big = borrow()
			buf = big[:]
		case big != nil && n < small && n < k:
			large.Put(big)
			buf, big = little[:], nil
		}
	}
}

// Write sends p as the peer gives credit for it.
func (s *stream) Write(p []byte) (int, error) {
	buf := borrow()
	defer large.Put(buf)
	for n := 0; n < len(p); {
		k, err := s.room(min(len(p)-n, chunk))
		if err != nil {
			return n, err
		}
		copy(buf[frameLen:], p[n:n+k])
		s.data(buf[:frameLen+k])
		n += k
	}
	return len(p), nil
}
