package face

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// A keyPair is a certificate in files, read again when they change. While they
// cannot be read, or do not fit each other, it stays what it was.
type keyPair struct {
	cert, key string

	mu     sync.Mutex // guards the fields below
	looked time.Time
	stamp  string // of the files as they were read
	is     *tls.Certificate
}

func newKeyPair(cert, key string) (*keyPair, error) {
	k := &keyPair{cert: cert, key: key}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	k.is, k.stamp, k.looked = &pair, k.state(), time.Now()
	return k, nil
}

// state tells one version of the files from the next.
func (k *keyPair) state() string {
	out := ""
	for _, f := range []string{k.cert, k.key} {
		if info, err := os.Stat(f); err == nil {
			out += fmt.Sprint(info.ModTime().UnixNano(), info.Size(), ";")
		}
	}
	return out
}

// get is a tls.Config.GetCertificate.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); now.Sub(k.looked) >= lookAgain {
		k.looked = now
		if s := k.state(); s != k.stamp {
			if pair, err := tls.LoadX509KeyPair(k.cert, k.key); err == nil {
				k.is, k.stamp = &pair, s
			}
		}
	}
	return k.is, nil
}

func (k *keyPair) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.get}
}
