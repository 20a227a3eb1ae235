package console

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/console"
)

type document = map[string]any

// made serves a console that shows n made stamps in six geos and four rings,
// some of which are not well.
func made(t *testing.T, n int) string {
	t.Helper()
	geos := []string{"africa", "amer", "apac", "emea", "latam", "oceania"}
	rings := []string{"dev", "test", "staging", "production"}
	shape := console.Shape{Rings: rings, Via: map[string][]string{}}
	var stamps []document
	for g, geo := range geos {
		stamps = append(stamps, madeStamp(geo+"-hub", geo, "production", "gateway", g == 3))
		for i := 1; len(stamps) < (g+1)*n/len(geos); i++ {
			ring := rings[i%len(rings)]
			name := fmt.Sprintf("%s-%s-%d", geo, ring, (i-1)/len(rings)+1)
			shape.Via[name] = []string{geo + "-hub"}
			stamps = append(stamps, madeStamp(name, geo, ring, "leaf:7422", false))
		}
	}
	join(stamps, shape)
	breakSome(stamps)
	now := time.Now()
	start := now.Add(-time.Hour)
	c, err := console.New(console.Config{
		Federation: func(context.Context) any {
			return document{"name": "large", "hash": "c0ffee", "asked": "emea-hub", "at": time.Now(), "stamps": stamps}
		},
		Waiting: func(context.Context, string, int) (any, error) { return []document{}, nil },
		Planes:  func(context.Context) (any, error) { return []document{}, nil },
		Shape:   func() console.Shape { return shape },
		Sample: func() console.Sample {
			s := console.Sample{Sent: time.Since(start).Seconds() * 12, Delay: map[string]float64{}}
			for i, st := range stamps {
				s.Delay[st["stamp"].(string)] = 0.002 + float64(i%40)/1000
			}
			return s
		},
		See: func(code string) string { return "https://github.com/ringway/ringway/blob/main/docs/errors.md#" + code },
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Run(ctx, func() { close(ready) }) })
	<-ready
	srv := httptest.NewServer(c)
	t.Cleanup(func() { cancel(); wg.Wait(); srv.CloseClientConnections(); srv.Close() })
	return srv.URL + "/console/"
}

func madeStamp(name, geo, ring, via string, asked bool) document {
	way := "up"
	if asked {
		way = "here"
	}
	return document{
		"stamp": name, "geo": geo, "ring": ring, "way": way, "via": via, "answered": true, "causes": []document{},
		"canary": document{"from": "emea-hub", "age": 3.2, "rtt": 0.021, "delay": 0.011, "of": 32},
		"status": document{"version": "v0.9", "since": time.Now().Add(-50 * time.Hour), "topology": document{"hash": "c0ffee"}, "planes": document{"fresh": 3}},
	}
}

// join has hubs and leaves connected.
func join(stamps []document, shape console.Shape) {
	for _, s := range stamps {
		var links []document
		for _, o := range stamps {
			if s["via"] == "gateway" && o["via"] == "gateway" && s["stamp"] != o["stamp"] {
				links = append(links, document{"peer": o["stamp"], "kind": "gateway", "addr": "hub.example.com:7222", "up": true})
			}
		}
		if via := shape.Via[s["stamp"].(string)]; len(via) > 0 {
			links = append(links, document{"peer": via[0], "kind": "leaf-out", "addr": "hub.example.com:7422", "up": true})
		}
		s["status"].(document)["links"] = links
	}
}

// breakSome has something wrong with a few stamps.
func breakSome(stamps []document) {
	for i, s := range stamps {
		name := s["stamp"].(string)
		if s["via"] == "gateway" || i%61 != 17 {
			continue
		}
		s["way"], s["answered"], s["status"], s["err"], s["outbox"] = "down", false, nil, "no answer", 40+i
		s["causes"] = []document{{
			"code": "RW-301", "side": name + " → " + s["geo"].(string) + "-hub", "addr": s["geo"].(string) + ".ringway.example.com:7422",
			"reason": "no leafnode connection from it: no answer", "since": time.Now().Add(-7 * time.Minute), "waits": 40 + i,
		}}
	}
	look, lost := stamps[len(stamps)/7], stamps[len(stamps)/3]
	look["causes"] = []document{{"side": look["stamp"], "reason": "2 planes are not confirmed since 2026-01-05T10:00:00Z: control plane emea does not answer"}}
	lost["way"], lost["answered"], lost["status"], lost["err"] = "unknown", false, nil, "refused"
}
