package pull

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/ringway/ringway/bridge"
)

// defaultSource is what api-service writes where a source is none.
const defaultSource = "https://github.com/keptn/keptn/api"

// typeLog is the report that Keptn does not store, and that does no harm twice.
const typeLog = "sh.keptn.log.error"

// lookUp asks whether an answer that may have been posted was. over says that it
// is settled; else it is to be posted.
func (t *term) lookUp(ctx context.Context, up *upstream, r *record) (over bool, err error) {
	if !strings.HasPrefix(r.subject, "sh.keptn.event.") { // mongodb-datastore does not store it
		if r.subject == typeLog {
			return false, nil
		}
		if err := t.bury(ctx, r, bridge.ReasonUnconfirmed, "whether it was taken can not be found out"); err != nil {
			return false, err
		}
		return true, t.done(ctx, r)
	}
	n, err := up.find(ctx, r)
	if err != nil {
		t.metrics.lookups.WithLabelValues(r.control, "failed").Inc()
		return false, err
	}
	t.mu.Lock()
	before := t.prints[r.control+" "+r.print]
	t.mu.Unlock()
	if n > before { // the same was posted before, and means what it says
		t.metrics.lookups.WithLabelValues(r.control, "taken").Inc()
		return true, t.done(ctx, r)
	}
	t.metrics.lookups.WithLabelValues(r.control, "missing").Inc()
	return false, nil
}

// find returns how often mongodb-datastore has an answer, under whatever id.
func (u *upstream) find(ctx context.Context, r *record) (int, error) {
	e, err := bridge.Parse(r.subject, r.body)
	if err != nil {
		return 0, fmt.Errorf("look up answer: %w", err)
	}
	all, err := newLister(u).all(ctx, datastore, "/event", url.Values{
		"keptnContext": {bridge.ContextOf(e.Context)}, "type": {e.Type}, "source": {sourceOf(e.Source)}, "pageSize": {"100"},
	})
	if err != nil {
		return 0, err
	}
	ids := map[string]bool{} // pages may repeat
	for _, got := range all {
		source := ""
		if got.Source != nil {
			source = *got.Source
		}
		if digest(got.Context, got.Type, source, got.TriggeredID, got.Data) == r.print {
			ids[got.ID] = true
		}
	}
	return len(ids), nil
}

// printOf is the digest of what api-service keeps of an event.
func printOf(e *bridge.Event, body []byte) string {
	var full struct {
		Data json.RawMessage `json:"data"`
	}
	_ = json.Unmarshal(body, &full) // bridge.Parse has read it
	return digest(bridge.ContextOf(e.Context), e.Type, sourceOf(e.Source), e.TriggeredID, full.Data)
}

// digest tells events apart by what they mean: their data may come back with
// other blanks, in another order and with other ways to write a number.
func digest(context, typ, source, triggered string, data json.RawMessage) string {
	var v any
	if json.Unmarshal(data, &v) == nil {
		if plain, err := json.Marshal(v); err == nil {
			data = plain
		}
	}
	h := sha256.New()
	for _, part := range []string{context, typ, source, triggered, string(data)} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // never fails
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// sourceOf is what api-service makes of a source.
func sourceOf(have string) string {
	if _, err := url.Parse(have); err != nil || have == "" {
		return defaultSource
	}
	return have
}
