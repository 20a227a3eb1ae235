package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/topology"
)

// A loadedTopology is a topology file and what it means.
type loadedTopology struct {
	file string
	data []byte
	mesh *topology.Mesh
}

// loadTopology reads file, or the built-in topology if file is empty.
func loadTopology(file string) (loadedTopology, error) {
	name, data := file, demo.Topology()
	if file == "" {
		name = "built-in topology"
	} else {
		var err error
		if data, err = os.ReadFile(file); err != nil { //nolint:gosec // named by the user
			return loadedTopology{}, fmt.Errorf("read topology: %w", err)
		}
	}
	spec, err := topology.Load(name, data)
	if err != nil {
		return loadedTopology{}, err
	}
	mesh, err := topology.Compile(spec)
	if err != nil {
		return loadedTopology{}, err
	}
	return loadedTopology{file: name, data: data, mesh: mesh}, nil
}

// perform runs the show that cfg describes and keeps the view up to date.
func perform(ctx context.Context, cfg demo.ShowConfig, v *view, began time.Time) (demo.Summary, error) {
	show, err := demo.NewShow(cfg)
	if err != nil {
		return demo.Summary{}, fmt.Errorf("set up demonstration: %w", err)
	}
	drawing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var readyAfter time.Duration
	sum, err := show.Run(ctx, func() {
		readyAfter = time.Since(began)
		v.ready(cfg.Federation.Stamps(), readyAfter)
		wg.Go(func() { v.follow(drawing, show.Snapshot) })
	})
	sum.ReadyMS = float64(readyAfter.Milliseconds())
	return sum, err
}

// showConfig turns flags and topology into what the show runs.
func showConfig(o upOptions, mesh *topology.Mesh) (demo.ShowConfig, error) {
	data, err := parseData(o.data)
	if err != nil {
		return demo.ShowConfig{}, err
	}
	cfg := demo.ShowConfig{
		Work: o.work, For: o.duration, Events: o.events,
		Drain: 30*time.Second + o.cutFor, Stages: map[string][]string{},
	}
	var stages []string
	for _, r := range mesh.Stages {
		if !slices.Contains(stages, r.Stage) {
			stages = append(stages, r.Stage)
		}
		for _, s := range r.Stamps {
			if name := string(s); !slices.Contains(cfg.Stages[name], r.Stage) {
				cfg.Stages[name] = append(cfg.Stages[name], r.Stage)
			}
		}
	}
	if len(stages) == 0 {
		return cfg, fmt.Errorf("topology %s has no stages: there is nothing to run", mesh.Name)
	}
	for _, c := range mesh.ControlPlanes {
		if slices.ContainsFunc(cfg.Controls, func(s demo.ControlSpec) bool { return s.Stamp == string(c.Stamp) }) {
			continue // two of them on one NATS would share Keptn's consumer
		}
		cfg.Controls = append(cfg.Controls, demo.ControlSpec{Stamp: string(c.Stamp), Flow: demo.Flow{
			Project: projectOf(mesh, c), Stages: stages,
			TaskTimeout: 30*time.Second + o.cutFor, Data: data,
		}})
	}
	for i := range cfg.Controls {
		cfg.Controls[i].Flow.Rate = o.rate / float64(len(cfg.Controls))
	}
	if len(cfg.Controls) == 0 {
		return cfg, fmt.Errorf("topology %s has no control plane: nobody would send anything", mesh.Name)
	}
	for i, s := range o.cut {
		if !slices.ContainsFunc(mesh.Stamps, func(st *topology.Stamp) bool { return string(st.ID) == s }) {
			return cfg, fmt.Errorf("--cut %s: topology %s has no such stamp", s, mesh.Name)
		}
		cfg.Cuts = append(cfg.Cuts, demo.CutSpec{Stamp: s, After: o.cutAfter(i), For: o.cutFor})
	}
	return cfg, nil
}

// cutAfter returns when cut i begins: soon, and in a short show at once.
func (o upOptions) cutAfter(i int) time.Duration {
	after := 2 * time.Second
	if o.duration > 0 {
		after = min(after, o.duration/10)
	}
	if o.events > 0 {
		after = min(after, 200*time.Millisecond)
	}
	return after + time.Duration(i)*after/2
}

// projectOf returns the project that c runs: of those it owns, the one that
// most stages are for.
func projectOf(mesh *topology.Mesh, c *topology.ControlPlane) string {
	candidates := append(slices.Clone(c.Projects), "sockshop")
	for _, r := range mesh.Stages {
		candidates = append(candidates, r.Projects...)
	}
	best, most := c.Name, -1
	for _, p := range candidates {
		if mesh.ControlOf(p) != c {
			continue
		}
		n := 0
		for _, r := range mesh.Stages {
			if len(r.Projects) == 0 || slices.Contains(r.Projects, p) {
				n++
			}
		}
		if n > most {
			best, most = p, n
		}
	}
	return best
}

// parseData reads --data flags: path=value,value. It returns what they add to
// the data of sequence n.
func parseData(flags []string) (func(n int) map[string]any, error) {
	type entry struct {
		path   []string
		values []string
	}
	var all []entry
	for _, f := range flags {
		path, values, ok := strings.Cut(f, "=")
		if !ok || path == "" || strings.Contains("."+path+".", "..") {
			return nil, fmt.Errorf("--data %q is not key=value,value, with a key such as sayhello.location", f)
		}
		all = append(all, entry{strings.Split(path, "."), strings.Split(values, ",")})
	}
	return func(n int) map[string]any {
		data := map[string]any{}
		for _, e := range all {
			data = demo.With(data, e.path, e.values[n%len(e.values)])
		}
		return data
	}, nil
}
