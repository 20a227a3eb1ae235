package gateway

import "time"

func defaultPoll() Poll {
	return Poll{TTL: 24 * time.Hour, NewsTTL: 15 * time.Minute, Window: 24 * time.Hour, Retry: 2 * time.Minute}
}

func (p Poll) validate(bad func(key, format string, args ...any)) {
	if p.TTL <= 0 || p.NewsTTL <= 0 || p.Window <= 0 || p.Retry <= 0 {
		bad("poll", "durations must be positive")
	}
}
