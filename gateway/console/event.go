package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// An eventData is what the page of an event shows.
type eventData struct {
	Query   string
	Story   *story
	Several bool           // events that the story is about
	More    int            // steps that are not shown
	Waiting []waitingEvent // in the stamp whose gateway shows it
	Errors  []string
}

// Found reports whether anything is known of what was searched for.
func (d eventData) Found() bool {
	return len(d.Waiting) > 0 || d.Story != nil && len(d.Story.Entries)+len(d.Story.Now) > 0
}

const (
	// maxSteps bounds the steps of a story on one page, the first and last of which
	// are shown.
	maxSteps = 400
	// maxAsking bounds the stories that are asked for at the same time.
	maxAsking = 2
)

func (c *Console) eventPage(r *http.Request) (*view, error) {
	id := clip(r.URL.Query().Get("id"))
	d := eventData{Query: id}
	v := &view{Page: "event", Title: "Event", Nav: "event", Search: id}
	if id != "" {
		var err error
		if d.Waiting, err = c.waitingEvents(r, id); err != nil {
			d.Errors = append(d.Errors, err.Error())
		}
		if err := c.tell(r.Context(), &d); err != nil {
			d.Errors = append(d.Errors, err.Error())
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

// tell fills in what became of an event. Few ask at the same time: each asks all
// stamps.
func (c *Console) tell(ctx context.Context, d *eventData) error {
	if c.cfg.Why == nil {
		return nil
	}
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-ctx.Done():
		return errBusy
	}
	document, err := c.cfg.Why(ctx, d.Query)
	if err != nil {
		return fmt.Errorf("its story is not known: %w", err)
	}
	is, err := read[story](document)
	if err != nil {
		return err
	}
	d.Several = len(is.Events) > 1
	if d.More = len(is.Entries) - maxSteps; d.More > 0 {
		is.Entries = append(is.Entries[:maxSteps/2:maxSteps/2], is.Entries[len(is.Entries)-maxSteps/2:]...)
	}
	d.Story = &is
	return nil
}

var errBusy = errors.New("others ask for stories of events now; try again")

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
