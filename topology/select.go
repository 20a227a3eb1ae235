package topology

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
)

// selected returns the stamps that match every part of sel that is given, in
// order of the file, and reports names that nothing is called.
func (c *compiler) selected(path string, sel SelectSpec) []*Stamp {
	c.names(path+".geos", "geo", sel.Geos, c.hasGeo)
	c.names(path+".rings", "ring", sel.Rings, c.hasRing)
	c.names(path+".stamps", "stamp", sel.Stamps, c.hasStamp)
	var out []*Stamp
	for _, s := range c.m.Stamps {
		if among(sel.Geos, string(s.Geo)) && among(sel.Rings, string(s.Ring)) && among(sel.Stamps, string(s.ID)) && hasLabels(s, sel.Labels) {
			out = append(out, s)
		}
	}
	return out
}

func (c *compiler) names(path, what string, names []string, has func(string) bool) {
	for i, n := range names {
		c.known(fmt.Sprintf("%s[%d]", path, i), what, n, has)
	}
}

func among(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }

func hasLabels(s *Stamp, want map[string]string) bool {
	for k, v := range want {
		if s.Labels[k] != v {
			return false
		}
	}
	return true
}

func (sel SelectSpec) empty() bool {
	return len(sel.Geos)+len(sel.Rings)+len(sel.Stamps)+len(sel.Labels) == 0
}

// ids is selected as a list of names.
func (c *compiler) ids(path string, sel SelectSpec) []StampID {
	var out []StampID
	for _, s := range c.selected(path, sel) {
		out = append(out, s.ID)
	}
	return out
}

// set is selected as a set, nil for every stamp.
func (c *compiler) set(path string, sel SelectSpec) map[StampID]bool {
	if sel.empty() {
		return nil
	}
	out, before := map[StampID]bool{}, len(c.problems)
	for _, id := range c.ids(path, sel) {
		out[id] = true
	}
	if len(out) == 0 && len(c.problems) == before {
		c.cross(path, "drop it for every stamp", "chooses no stamp")
	}
	return out
}

// url checks an absolute URL with one of the schemes; nil for none.
func (c *compiler) url(path, text string, schemes ...string) *url.URL {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		c.bad(path, fmt.Sprintf("write %s://host:port", schemes[0]), "%.100q is not a URL with one of the schemes %v", text, schemes)
		return nil
	}
	if u.User != nil {
		c.bad(path, "name a file with the credentials instead", "holds credentials, and this file is shared")
		return nil
	}
	return u
}

// merge lays labels over others and returns a new map.
func merge(layers ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, l := range layers {
		maps.Copy(out, l)
	}
	return out
}
