package node

import (
	"fmt"
	"log/slog"
	"regexp"
	"sync"
)

// serverLog passes what one server says to slog and to its Node. What a server
// calls an error is a warning here: it tries again by itself. A fatal one ends
// the Node; the server itself must not end the process.
type serverLog struct {
	log    *slog.Logger
	note   func(line string) // told every line but debug and trace
	secret *regexp.Regexp
	user   *regexp.Regexp

	once  sync.Once
	fatal chan struct{} // closed after cause is set
	cause string
}

func newServerLog(log *slog.Logger, note func(line string)) *serverLog {
	return &serverLog{
		log: log, note: note, fatal: make(chan struct{}),
		// A JWT is three parts of base64 and begins with {" encoded. A
		// connection event or an error may hold a bearer token.
		secret: regexp.MustCompile(`eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\bS[A-Z2-7]{57}\b`),
		user:   regexp.MustCompile(`://[^/@\s]+@`),
	}
}

// text formats a line without the tokens, seeds and passwords in it.
func (l *serverLog) text(format string, v []any) string {
	s := l.secret.ReplaceAllString(fmt.Sprintf(format, v...), "[hidden]")
	return l.user.ReplaceAllString(s, "://[hidden]@")
}

// Noticef is the server's talk about itself; ours says the same shorter.
func (l *serverLog) Noticef(format string, v ...any) {
	line := l.text(format, v)
	l.note(line)
	l.log.Debug("server notice", "reason", line)
}

// Warnf is something the server goes on after.
func (l *serverLog) Warnf(format string, v ...any) {
	line := l.text(format, v)
	l.note(line)
	l.log.Warn("server warning", "reason", line)
}

// Errorf is something that did not work; the server tries again or goes on.
func (l *serverLog) Errorf(format string, v ...any) {
	line := l.text(format, v)
	l.note(line)
	l.log.Warn("server trouble", "err", line)
}

// Fatalf is the end of the server. It returns, since the process is not the
// server's.
func (l *serverLog) Fatalf(format string, v ...any) {
	line := l.text(format, v)
	l.once.Do(func() {
		l.cause = line
		close(l.fatal)
	})
}

// Debugf is not used: the servers run without debug output.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef is not used: it would hold the bodies of messages.
func (l *serverLog) Tracef(string, ...any) {}
