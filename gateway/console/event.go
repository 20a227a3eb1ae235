package console

import (
	"context"
	"fmt"
	"net/http"
)

// An eventData is what the page of an event shows.
type eventData struct {
	Query   string
	Story   *Story
	Waiting []waitingEvent // in the stamp whose gateway shows it
	Errors  []string
}

// Found reports whether anything is known of what was searched for.
func (d eventData) Found() bool { return d.Story != nil || len(d.Waiting) > 0 }

func (c *Console) eventPage(r *http.Request) (*view, error) {
	id := clip(r.URL.Query().Get("id"))
	d := eventData{Query: id}
	v := &view{Page: "event", Title: "Event", Nav: "event", Search: id}
	if id != "" {
		var err error
		if d.Waiting, err = c.waitingEvents(r, id); err != nil {
			d.Errors = append(d.Errors, err.Error())
		}
		if c.cfg.Story != nil {
			if d.Story, err = c.cfg.Story(r.Context(), id); err != nil {
				d.Errors = append(d.Errors, err.Error())
			}
		}
		if !d.Found() && len(d.Errors) == 0 {
			v.code = http.StatusNotFound
		}
	}
	v.Data = d
	if l := c.watch.get(r.Context()); l != nil {
		v.about(l)
	}
	return v, nil
}

// waitingEvents returns events that wait here to be delivered.
func (c *Console) waitingEvents(r *http.Request, match string) ([]waitingEvent, error) {
	ctx, cancel := context.WithTimeout(r.Context(), askedSoon)
	defer cancel()
	document, err := c.cfg.Waiting(ctx, match, maxEvents)
	if err != nil {
		return nil, fmt.Errorf("what waits here is not known: %w", err)
	}
	return read[[]waitingEvent](document)
}

// planes returns the planes that are known here.
func (c *Console) planes(r *http.Request) ([]planesOf, error) {
	ctx, cancel := context.WithTimeout(r.Context(), askedSoon)
	defer cancel()
	document, err := c.cfg.Planes(ctx)
	if err != nil {
		return nil, fmt.Errorf("planes are not known: %w", err)
	}
	return read[[]planesOf](document)
}
