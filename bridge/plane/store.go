package plane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// Bucket is the name of the KV bucket of planes, in account RELAY of the local
// server. Losing it makes planes register again; rolling it back forgets what
// was edited since.
const Bucket = "RW_PLANES"

const (
	planeKey = "plane." // followed by the key of an id: a Record
	stampKey = "stamp." // followed by a stamp: what it last said, a Report

	storeTimeout = 2 * time.Second // for one question
)

// errConflict reports that another replica has written meanwhile.
var errConflict = errors.New("another replica has changed it")

// A store keeps Records.
type store struct {
	js       jetstream.JetStream
	replicas int
}

func newStore(relay *nats.Conn, replicas int) (*store, error) {
	js, err := jetstream.New(relay, jetstream.WithDefaultTimeout(storeTimeout))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return &store{js: js, replicas: max(replicas, 1)}, nil
}

// open makes the bucket if it is not there.
func (s *store) open(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := s.js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) || err == nil && !s.hasReplicas(ctx, kv) {
		kv, err = s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: Bucket, Description: "execution planes of this stamp, and what others say of theirs",
			Storage: jetstream.FileStorage, Replicas: s.replicas, History: 1,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", Bucket, err)
	}
	return kv, nil
}

// hasReplicas reports whether the bucket has as many as it should, or nobody can
// say.
func (s *store) hasReplicas(ctx context.Context, kv jetstream.KeyValue) bool {
	st, err := kv.Status(ctx)
	if err != nil {
		return true
	}
	b, ok := st.(*jetstream.KeyValueBucketStatus)
	return !ok || b.StreamInfo().Config.Replicas == s.replicas
}

func keyOf(id string) string { return planeKey + bridge.KeyOf(id, "plane", "") }

// A stored is a Record and its revision.
type stored struct {
	rec *Record
	rev uint64
}

// put stores rec in the place of revision rev; 0 is of none.
func put(ctx context.Context, kv jetstream.KeyValue, rec *Record, rev uint64) (uint64, error) {
	b, err := json.Marshal(rec)
	if err != nil {
		return 0, fmt.Errorf("store plane %s: %w", rec.ID, err)
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var next uint64
	if rev == 0 {
		next, err = kv.Create(ctx, keyOf(rec.ID), b)
	} else {
		next, err = kv.Update(ctx, keyOf(rec.ID), b, rev)
	}
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrKeyExists), errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return 0, errConflict
	case err != nil:
		return 0, fmt.Errorf("store plane %s: %w", rec.ID, err)
	}
	return next, nil
}

// get returns nil if there is no such plane.
func get(ctx context.Context, kv jetstream.KeyValue, id string) (*stored, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	e, err := kv.Get(ctx, keyOf(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("read plane %s: %w", id, err)
	}
	return decode(e)
}

func decode(e jetstream.KeyValueEntry) (*stored, error) {
	r := &Record{}
	if err := json.Unmarshal(e.Value(), r); err != nil {
		return nil, fmt.Errorf("read plane %s: %w", e.Key(), err)
	}
	return &stored{r, e.Revision()}, nil
}

// all returns every Record, and every Report by its key.
func all(ctx context.Context, kv jetstream.KeyValue) (recs []*stored, reports map[string][]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*storeTimeout)
	defer cancel()
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", Bucket, err)
	}
	defer func() { _ = w.Stop() }() // it has been read
	reports = map[string][]byte{}
	for {
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("read %s: %w", Bucket, ctx.Err())
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return nil, nil, fmt.Errorf("read %s: reading was ended", Bucket)
			case e == nil:
				return recs, reports, nil
			case strings.HasPrefix(e.Key(), stampKey):
				reports[strings.TrimPrefix(e.Key(), stampKey)] = e.Value()
			default:
				// What cannot be read was written by a later version.
				if s, err := decode(e); err == nil {
					recs = append(recs, s)
				}
			}
		}
	}
}
