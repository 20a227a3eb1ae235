package face

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// lookAgain is how old what was read of files may be.
const lookAgain = time.Second

// maxTokenFile bounds a file with a token, in bytes.
const maxTokenFile = 16 << 10

// A tokenFolder knows the token of each plane by a file that is called like the
// plane. It is read again when it is asked and what it knows is a second old.
type tokenFolder struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex // guards the fields below
	looked time.Time
	tokens []planeToken
	said   string // the problem that was logged last
}

// A planeToken is kept as its digest: the time of a comparison says nothing of
// the length either.
type planeToken struct {
	plane  string
	digest [sha256.Size]byte
}

// newTokenFolder reads dir for the first time, when it must be readable.
func newTokenFolder(dir string, log *slog.Logger) (*tokenFolder, error) {
	f := &tokenFolder{dir: dir, log: log}
	var err error
	if f.tokens, err = readTokens(dir); err != nil && f.tokens == nil {
		return nil, err
	}
	return f, nil
}

// readTokens returns the tokens of the files that can be read, and what is wrong
// with the others. It returns no tokens at all if the folder cannot be read.
func readTokens(dir string) ([]planeToken, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	var bad []error
	out := []planeToken{}
	for _, e := range list {
		if e.Name()[0] == '.' { // a mounted Secret has such links beside the files
			continue
		}
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			bad = append(bad, fmt.Errorf("read token: %w", err))
			continue
		}
		switch {
		case info.IsDir():
		case !isPlane(e.Name()):
			bad = append(bad, fmt.Errorf("file %.80q is not named like a plane", e.Name()))
		case info.Size() > maxTokenFile:
			bad = append(bad, fmt.Errorf("token of plane %s is longer than %d bytes", e.Name(), maxTokenFile))
		default:
			b, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // of a folder that the configuration names
			token := strings.TrimSpace(string(b))
			if err == nil && token == "" {
				err = errors.New("is empty")
			}
			if err != nil {
				bad = append(bad, fmt.Errorf("token of plane %s: %w", e.Name(), err))
				continue
			}
			out = append(out, planeToken{e.Name(), sha256.Sum256([]byte(token))})
		}
	}
	return out, errors.Join(bad...)
}

// known returns the tokens as they are now. A folder that cannot be read for a
// while changes nothing.
func (f *tokenFolder) known(now time.Time) []planeToken {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.looked) < lookAgain {
		return f.tokens
	}
	f.looked = now
	tokens, err := readTokens(f.dir)
	if tokens != nil {
		f.tokens = tokens
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if problem != f.said && problem != "" {
		f.log.Warn("tokens not all read", "file", f.dir, "err", err)
	}
	f.said = problem
	return f.tokens
}

// plane returns whose token it is; if plane is not empty it must be its. Every
// token is compared, whatever is found, in a time that does not depend on them.
func (f *tokenFolder) plane(token, plane string, now time.Time) (string, bool) {
	digest := sha256.Sum256([]byte(token))
	found := ""
	for _, t := range f.known(now) {
		same := subtle.ConstantTimeCompare(digest[:], t.digest[:]) == 1
		if same && found == "" && (plane == "" || plane == t.plane) {
			found = t.plane
		}
	}
	return found, found != ""
}

// has reports whether a plane has a token.
func (f *tokenFolder) has(plane string, now time.Time) bool {
	for _, t := range f.known(now) {
		if t.plane == plane {
			return true
		}
	}
	return false
}
