package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ringway/ringway/gateway"
)

// Until when something that expires is worth a word.
const (
	expiresSoon = 30 * 24 * time.Hour
	day         = 24 * time.Hour
)

// maxCauses bounds the causes of one stamp below the table.
const maxCauses = 6

// A statusTable shows a federation for people. It reads no clock.
type statusTable struct {
	wide, color bool
	now         time.Time
}

func (t statusTable) print(w io.Writer, is *gateway.Federation) error {
	var b bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	head := []string{"GEO", "RING", "STAMP", "LINK", "VIA", "CANARY", "RTT", "OUTBOX", "WAITING", "PLANES", "CREDS"}
	if t.wide {
		head = append(head, "DELAY", "LOST", "CLOCK", "DLQ", "REPLICAS", "VERSION", "TOPOLOGY", "UP")
	}
	_, _ = fmt.Fprintln(tw, strings.Join(head, "\t")) // a buffer takes everything
	for _, s := range is.Stamps {
		_, _ = fmt.Fprintln(tw, strings.Join(t.row(is, s), "\t"))
	}
	_ = tw.Flush()
	table := b.String()
	if t.color {
		table = strings.ReplaceAll(table, " DOWN ", " \x1b[31mDOWN\x1b[0m ")
	}
	_, err := io.WriteString(w, table+t.foot(is))
	return err
}

func (t statusTable) row(is *gateway.Federation, s gateway.StampReport) []string {
	link := s.Way
	if link == gateway.WayDown {
		link = "DOWN"
	}
	canary, rtt, delay, lost := "-", "-", "-", "-"
	if c := s.Canary; c != nil {
		canary = brief(seconds(c.Age))
		if c.Never {
			canary = "never"
		}
		lost = fmt.Sprintf("%d/%d", c.Lost, c.Of)
		if s.Way != gateway.WayDown && c.RTT > 0 {
			rtt, delay = brief(seconds(c.RTT)), brief(seconds(c.Delay))
		}
	}
	if s.Way == gateway.WayHere {
		canary, rtt, delay, lost = "-", "-", "-", "-"
	}
	waiting := "-"
	if s.Answered {
		waiting = strconv.Itoa(s.Waiting)
	}
	row := []string{
		string(s.Geo), string(s.Ring), string(s.Stamp), link, s.Via, canary, rtt,
		strconv.FormatInt(s.Outbox, 10), waiting, planesOf(s), t.expiry(s),
	}
	if t.wide {
		row = append(row, delay, lost, clock(s))
		row = append(row, t.more(is, s)...)
	}
	return row
}

// more is what only the stamp itself knows.
func (t statusTable) more(is *gateway.Federation, s gateway.StampReport) []string {
	st := s.Status
	if st == nil {
		return []string{"-", "-", "-", "-", "-"}
	}
	letters, replicas, hash := "-", "1/1", "same"
	if st.DeadLetters != nil {
		letters = strconv.FormatUint(*st.DeadLetters, 10)
	}
	if r := st.Replica; r != nil {
		replicas = fmt.Sprintf("%d/%d", r.Reached, r.Want)
	}
	if st.Topology.Hash != is.Hash {
		hash = st.Topology.Hash
	}
	return []string{letters, replicas, cmp.Or(st.Version, "-"), hash, brief(t.now.Sub(st.Since))}
}

// planesOf counts planes that every control plane knows as they are, of all; a
// star says that some are not confirmed.
func planesOf(s gateway.StampReport) string {
	if s.Status == nil {
		return "-"
	}
	p := s.Status.Planes
	text := fmt.Sprintf("%d/%d", p.Fresh, p.Fresh+p.Stale+p.Gone)
	if p.Stale+p.Gone > 0 {
		text += "*"
	}
	return text
}

// expiry is for how long what expires first still counts.
func (t statusTable) expiry(s gateway.StampReport) string {
	if s.Expires == nil {
		return "-"
	}
	left := s.Expires.At.Sub(t.now)
	switch {
	case left <= 0:
		return "EXPIRED"
	case left < expiresSoon:
		return brief(left) + "!"
	}
	return brief(left)
}

func clock(s gateway.StampReport) string {
	if !s.Answered || s.Way == gateway.WayHere {
		return "-"
	}
	return fmt.Sprintf("%+.3fs", s.Clock)
}

// foot says what is wrong, a line each.
func (t statusTable) foot(is *gateway.Federation) string {
	var b strings.Builder
	cuts := sameCuts(is.Stamps)
	for n, s := range is.Stamps {
		for i, c := range s.Causes {
			if i == 0 && s.Way == gateway.WayDown {
				if cuts[n].stamps == "" {
					continue // said above
				}
				c.Waits = cuts[n].waits
				_, _ = fmt.Fprintf(&b, "%s: %s   see %s\n", cuts[n].stamps, c, gateway.See(c.Code))
				continue
			}
			if i == maxCauses {
				_, _ = fmt.Fprintf(&b, "%s: and %d more: see -o json\n", s.Stamp, len(s.Causes)-i)
				break
			}
			_, _ = fmt.Fprintf(&b, "%s: %s", s.Stamp, c)
			if c.Code != "" {
				_, _ = fmt.Fprintf(&b, "   see %s", gateway.See(c.Code))
			}
			b.WriteByte('\n')
		}
		if s.Way == gateway.WayUnknown || s.Way == gateway.WayUp && !s.Answered {
			_, _ = fmt.Fprintf(&b, "%s: %s\n", s.Stamp, s.Err)
		}
		if e := s.Expires; e != nil && e.At.Sub(t.now) < expiresSoon {
			_, _ = fmt.Fprintf(&b, "%s: %s %s in %s expires %s   see %s\n", s.Stamp, e.Kind, e.Name, e.File,
				e.At.UTC().Format(time.RFC3339), gateway.See(gateway.CodeExpires))
		}
	}
	return b.String()
}

// A cut is one reason for which stamps are down.
type cut struct {
	stamps string // empty: an earlier stamp has them
	waits  int64  // for all of them
}

// sameCuts puts stamps together that are down for the same reason: where the link
// of the stamp that was asked is down, that is every other one.
func sameCuts(all []gateway.StampReport) []cut {
	out := make([]cut, len(all))
	first := map[gateway.Cause]int{}
	for n, s := range all {
		if s.Way != gateway.WayDown || len(s.Causes) == 0 {
			continue
		}
		c := s.Causes[0]
		c.Since, c.Waits = time.Time{}, 0
		at, known := first[c]
		if !known {
			first[c], at = n, n
			out[at].stamps = string(s.Stamp)
		} else {
			out[at].stamps += ", " + string(s.Stamp)
		}
		out[at].waits += s.Causes[0].Waits
	}
	return out
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// brief writes a duration as people read it: 1.2ms, 18ms, 4s, 6m12s, 5h3m, 61d.
func brief(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + brief(-d)
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < 2*day:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd", int(d/day))
}
