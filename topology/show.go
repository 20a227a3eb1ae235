package topology

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/ringway/ringway/internal/yamlfile"
)

// Show returns the completed topology, every default filled in, as a topology
// file that means the same.
func (m *Mesh) Show() ([]byte, error) {
	b, err := yamlfile.Marshal(m.document())
	if err != nil {
		return nil, fmt.Errorf("write topology: %w", err)
	}
	return b, nil
}

// ShowJSON returns the same as JSON.
func (m *Mesh) ShowJSON() ([]byte, error) {
	b, err := json.MarshalIndent(m.document(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write topology: %w", err)
	}
	return append(b, '\n'), nil
}

// fields is a small object; keys without a value are left out.
type fields map[string]any

func object(pairs ...any) fields {
	out := fields{}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, _ := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case string:
			if v == "" {
				continue
			}
		case []string:
			if len(v) == 0 {
				continue
			}
		case map[string]string:
			if len(v) == 0 {
				continue
			}
		case fields:
			if len(v) == 0 {
				continue
			}
		}
		out[key] = pairs[i+1]
	}
	return out
}

func (m *Mesh) document() fields {
	var stamps, controls, stages, routes, policies, targets []fields
	for _, s := range m.Stamps {
		stamps = append(stamps, showStamp(s))
	}
	for _, c := range m.ControlPlanes {
		f := object("name", c.Name, "stamp", string(c.Stamp), "projects", c.Projects)
		if api := showAPI(c); len(api) > 0 {
			f["api"] = api
		}
		controls = append(controls, f)
	}
	for _, r := range m.Stages {
		stages = append(stages, m.showStage(r))
	}
	for _, r := range m.Routes {
		routes = append(routes, object("name", r.Name, "subject", string(r.Subject), "mode", string(r.Mode),
			"from", object("stamps", texts(r.From)), "to", object("stamps", texts(r.To))))
	}
	for _, p := range m.Policies {
		policies = append(policies, object("name", p.Name, "effect", string(p.Effect), "projects", p.Projects, "types", texts(p.Types),
			"from", object("stamps", m.members(p.From)), "to", object("stamps", m.members(p.To))))
	}
	for _, t := range m.Targets {
		targets = append(targets, m.showTarget(t))
	}
	doc := fields{"apiVersion": APIVersion, "kind": Kind, "name": m.Name, "geos": texts(m.Geos), "rings": texts(m.Rings), "stamps": stamps}
	for key, list := range map[string][]fields{
		"controlPlanes": controls, "stages": stages, "routes": routes, "policies": policies, "targets": targets,
	} {
		if len(list) > 0 {
			doc[key] = list
		}
	}
	return doc
}

func showAPI(c *ControlPlane) fields {
	f, services := fields{}, fields{}
	if c.API != nil {
		f["url"] = c.API.String()
	}
	for name, u := range c.Services {
		services[name] = u.String()
	}
	if len(services) > 0 {
		f["services"] = services
	}
	if c.Poll {
		f["poll"] = true
	}
	return f
}

func (m *Mesh) showTarget(t *Target) fields {
	f := object("name", t.Name, "stamp", string(t.Stamp), "url", t.URL.String(), "methods", t.Methods,
		"paths", t.Paths, "deny", t.Deny, "callers", object("stamps", m.members(t.Callers)))
	for key, is := range map[string]bool{"upgrade": t.Upgrade, "keepHost": t.KeepHost} {
		if is {
			f[key] = true
		}
	}
	if t.MaxRequest != 0 {
		f["maxRequest"] = t.MaxRequest
	}
	if t.Timeout > 0 {
		f["timeout"] = t.Timeout.String()
	}
	return f
}

func showStamp(s *Stamp) fields {
	var roles []string
	if s.Control {
		roles = append(roles, string(RoleControl))
	}
	if s.Execution {
		roles = append(roles, string(RoleExecution))
	}
	link := object("kind", string(s.Link.Kind), "via", texts(s.Link.Via), "transport", string(s.Link.Transport), "compression", string(s.Link.Compression),
		"advertise", object("gateway", s.Link.Advertise.Gateway, "leafnode", s.Link.Advertise.Leafnode, "websocket", s.Link.Advertise.WebSocket))
	if p := s.Link.Proxy; p != nil {
		link["proxy"] = object("url", p.URL.String(), "credentialsFile", p.CredentialsFile)
	}
	var sources []string
	for _, p := range s.Clients.Sources {
		sources = append(sources, p.String())
	}
	return object("name", string(s.ID), "geo", string(s.Geo), "ring", string(s.Ring), "labels", s.Labels, "roles", roles,
		"replicas", s.Replicas, "trusted", s.Trusted, "link", link,
		"clients", object("mode", string(s.Clients.Mode), "url", s.Clients.URL, "leafnode", s.Clients.Leafnode, "sources", sources))
}

func (m *Mesh) showStage(r *StageRule) fields {
	f := object("name", r.Stage, "rule", r.Name, "stamps", texts(r.Stamps), "projects", r.Projects, "deliver", string(r.Deliver), "onDeadline", string(r.OnDeadline))
	if len(r.Stamps) > 0 {
		f["ring"] = string(cmp.Or(m.Stamp(r.Stamps[0]), &Stamp{}).Ring)
	}
	if r.When != nil {
		f["when"] = r.When.Text
	}
	if r.StartWithin > 0 {
		f["startWithin"] = r.StartWithin.String()
	}
	if r.Deadline > 0 {
		f["deadline"] = r.Deadline.String()
	}
	if r.Deliver == DeliverFirst {
		f["order"] = texts(r.Stamps)
	}
	return f
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// members lists a set in order of the file.
func (m *Mesh) members(set map[StampID]bool) []string {
	var out []string
	for _, s := range m.Stamps {
		if set[s.ID] {
			out = append(out, string(s.ID))
		}
	}
	return out
}
