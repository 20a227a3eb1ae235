package jstream

import (
	"context"
	"errors"
	"reflect"

	"github.com/nats-io/nats.go/jetstream"
)

// Ensure returns the stream that want describes, which it makes or changes if
// need be. To change a stream of several replicas, even into what it is, all
// servers have to agree, which takes a good part of the time that a stamp has
// for a hand-over; so a stream that is as wanted is left alone.
func Ensure(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := Ask(ctx, func(ctx context.Context) (jetstream.Stream, error) { return js.Stream(ctx, want.Name) })
	if err == nil && covers(s.CachedInfo().Config, want) {
		return s, nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, err //nolint:wrapcheck // the caller says which stream
	}
	return js.CreateOrUpdateStream(ctx, want) //nolint:wrapcheck // the same
}

// covers reports whether a stream with configuration got is as wanted. What is
// not said must have the server's default.
func covers(got, want jetstream.StreamConfig) bool {
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range w.NumField() {
		name := w.Type().Field(i).Name
		switch {
		case name == "Metadata": // the server adds its own
		case reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()):
		case !w.Field(i).IsZero():
			return false
		case !isDefault(name, g.Field(i)):
			return false
		}
	}
	return true
}

// isDefault reports whether v is what the server makes of a field that is not
// said.
func isDefault(name string, v reflect.Value) bool {
	switch {
	case name == "Duplicates" || name == "ConsumerLimits":
		return true
	case v.CanInt():
		return v.Int() == -1 || v.Int() == 0
	}
	return v.IsZero()
}
