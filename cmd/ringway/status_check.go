package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ringway/ringway/gateway"
)

// A verdict sums a federation up for a monitoring system.
type verdict struct {
	critical, warning []string
	stamps, up, down  int
	outbox            int64
	waiting           int
	oldest            time.Duration // the oldest canary
	expires           time.Duration // until the first thing expires
	expiring          bool
}

// judgeFederation finds what is wrong; expect is how many stamps have to be up,
// 0 for all.
func judgeFederation(is *gateway.Federation, expect int) verdict {
	v := verdict{stamps: len(is.Stamps)}
	for _, s := range is.Stamps {
		v.add(is, s)
	}
	if expect > 0 && v.up < expect {
		v.critical = append(v.critical, fmt.Sprintf("%d stamps are up, %d expected", v.up, expect))
	}
	return v
}

func (v *verdict) add(is *gateway.Federation, s gateway.StampReport) {
	v.outbox += s.Outbox
	v.waiting += s.Waiting
	if c := s.Canary; c != nil && s.Way != gateway.WayHere {
		v.oldest = max(v.oldest, seconds(c.Age))
	}
	switch {
	case s.Way == gateway.WayDown:
		v.down++
	case s.Way != gateway.WayUnknown:
		v.up++
	}
	for i, c := range s.Causes {
		text := fmt.Sprintf("%s: %s", s.Stamp, c)
		if s.Way == gateway.WayDown && i == 0 || s.Status != nil && s.Status.Condition == gateway.ConditionDown {
			v.critical = append(v.critical, text)
		} else {
			v.warning = append(v.warning, text)
		}
	}
	e := s.Expires
	if e == nil {
		return
	}
	left := e.At.Sub(is.At)
	if !v.expiring || left < v.expires {
		v.expires, v.expiring = left, true
	}
	text := fmt.Sprintf("%s: %s %s expires in %s", s.Stamp, e.Kind, e.Name, brief(left))
	switch {
	case left <= 0:
		v.critical = append(v.critical, fmt.Sprintf("%s: %s %s has expired", s.Stamp, e.Kind, e.Name))
	case left < day:
		v.critical = append(v.critical, text)
	case left < expiresSoon:
		v.warning = append(v.warning, text)
	}
}

// The exit codes of a Nagios plug-in.
const (
	nagiosOK = iota
	nagiosWarning
	nagiosCritical
	nagiosUnknown
)

// judge prints what --check asks for. err is why the gateway could not be asked.
func (f *statusFlags) judge(w io.Writer, is *gateway.Federation, err error) error {
	switch {
	case f.format == "nagios" && err != nil:
		_, _ = fmt.Fprintf(w, "RINGWAY UNKNOWN: %v\n", err) // the exit code says it as well
		return exitCode(nagiosUnknown)
	case err != nil:
		return err
	}
	v := judgeFederation(is, f.expect)
	switch f.format {
	case "nagios":
		return v.nagios(w)
	case "prometheus":
		if err := prometheusText(w, is); err != nil {
			return err
		}
	default:
		if err := f.print(w, is); err != nil {
			return err
		}
	}
	if len(v.critical)+len(v.warning) > 0 {
		return exitCode(exitChecks)
	}
	return nil
}

// nagios prints one line and figures, as plug-ins do.
func (v verdict) nagios(w io.Writer) error {
	state, code := "OK", nagiosOK
	all := append(append([]string{}, v.critical...), v.warning...)
	switch {
	case len(v.critical) > 0:
		state, code = "CRITICAL", nagiosCritical
	case len(v.warning) > 0:
		state, code = "WARNING", nagiosWarning
	}
	text := fmt.Sprintf("%d of %d stamps are up", v.up, v.stamps)
	if len(all) > 0 {
		text += "; " + strings.Join(all, "; ")
	}
	figures := fmt.Sprintf("up=%d down=%d outbox=%d waiting=%d canary_age=%.3fs", v.up, v.down, v.outbox, v.waiting, v.oldest.Seconds())
	if v.expiring {
		figures += fmt.Sprintf(" expires=%.0fs", v.expires.Seconds())
	}
	// What stands behind a bar is read as figures.
	if _, err := fmt.Fprintf(w, "RINGWAY %s: %s | %s\n", state, strings.ReplaceAll(text, "|", "/"), figures); err != nil {
		return err
	}
	if code != nagiosOK {
		return exitCode(code)
	}
	return nil
}

// prometheusText writes what a textfile collector reads.
func prometheusText(w io.Writer, is *gateway.Federation) error {
	var b strings.Builder
	for _, m := range []struct {
		name, help string
		value      func(gateway.StampReport) (float64, bool)
	}{
		{"up", "1 if events get through to the stamp, as its canaries say.", func(s gateway.StampReport) (float64, bool) {
			return truth(s.Way != gateway.WayDown), s.Way != gateway.WayUnknown
		}},
		{"answered", "1 if the stamp's gateway said how it is.", func(s gateway.StampReport) (float64, bool) { return truth(s.Answered), true }},
		{"canary_age_seconds", "For how long no canary has got through.", func(s gateway.StampReport) (float64, bool) {
			if s.Canary == nil || s.Way == gateway.WayHere {
				return 0, false
			}
			return s.Canary.Age, true
		}},
		{"outbox", "Events that other stamps hold for the stamp.", func(s gateway.StampReport) (float64, bool) { return float64(s.Outbox), true }},
		{"waiting", "Events in the stamp that nobody takes.", func(s gateway.StampReport) (float64, bool) { return float64(s.Waiting), s.Answered }},
		{"causes", "Things that are wrong with the stamp or the way to it.", func(s gateway.StampReport) (float64, bool) { return float64(len(s.Causes)), true }},
		{"expires_timestamp_seconds", "When the first of its identity and certificates expires.", func(s gateway.StampReport) (float64, bool) {
			if s.Expires == nil {
				return 0, false
			}
			return float64(s.Expires.At.Unix()), true
		}},
	} {
		name := fmt.Sprintf("ringway_status_%s", m.name)
		_, _ = fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", name, m.help, name) // a builder takes everything
		for _, s := range is.Stamps {
			if v, ok := m.value(s); ok {
				_, _ = fmt.Fprintf(&b, "%s{geo=%q,ring=%q,stamp=%q} %g\n", name, s.Geo, s.Ring, s.Stamp, v)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
