package topology

// Bounds of a topology. Some checks compare every entry with every other, and
// every leaf may list every hub, so a file within the limit of its size could
// still cost minutes and gigabytes.
const (
	maxStamps  = 2000
	maxEntries = 1000 // of every other list, but for
	maxControl = 100  // control planes
)

// bounded reports whether the lists of the file are short enough to be checked.
func (c *compiler) bounded() bool {
	before := len(c.problems)
	for _, l := range []struct {
		key       string
		have, max int
	}{
		{"geos", len(c.s.Geos), maxEntries},
		{"rings", len(c.s.Rings), maxEntries},
		{"stamps", len(c.s.Stamps), maxStamps},
		{"controlPlanes", len(c.s.ControlPlanes), maxControl},
		{"stages", len(c.s.Stages), maxEntries},
		{"routes", len(c.s.Routes), maxEntries},
		{"policies", len(c.s.Policies), maxEntries},
		{"targets", len(c.s.Targets), maxEntries},
	} {
		if l.have > l.max {
			c.bad(l.key, "split the federation", "has %d entries, and at most %d are supported", l.have, l.max)
		}
	}
	return len(c.problems) == before
}
