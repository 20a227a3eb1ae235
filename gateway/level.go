package gateway

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
)

// A levelSwitch can set another log level than the configured one while the
// process runs. It is safe for concurrent use.
type levelSwitch struct {
	configured string
	level      atomic.Pointer[slog.Level] // nil: as configured
}

// set sets a level by its name; empty is the configured one.
func (s *levelSwitch) set(name string) {
	var l slog.Level
	if name == "" || l.UnmarshalText([]byte(name)) != nil {
		s.level.Store(nil)
		return
	}
	s.level.Store(&l)
}

// name returns the level in force.
func (s *levelSwitch) name() string {
	if l := s.level.Load(); l != nil {
		return strings.ToLower(l.String())
	}
	return s.configured
}

// logger returns one that logs as log does, at the level in force.
func (s *levelSwitch) logger(log *slog.Logger) *slog.Logger {
	return slog.New(&switched{Handler: log.Handler(), level: s})
}

// switched is a handler whose level can be set. What is below it must not look at
// levels when it is told to handle something, as those of log/slog do not.
type switched struct {
	slog.Handler
	level *levelSwitch
}

// Enabled reports whether something is logged.
func (h *switched) Enabled(ctx context.Context, l slog.Level) bool {
	if is := h.level.level.Load(); is != nil {
		return l >= *is
	}
	return h.Handler.Enabled(ctx, l)
}

// WithAttrs is as slog.Handler says.
func (h *switched) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &switched{Handler: h.Handler.WithAttrs(attrs), level: h.level}
}

// WithGroup is as slog.Handler says.
func (h *switched) WithGroup(name string) slog.Handler {
	return &switched{Handler: h.Handler.WithGroup(name), level: h.level}
}
