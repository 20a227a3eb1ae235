package console_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/bridge/plane"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/gateway/console"
)

// What the console reads, by name, is what the gateway writes.
func TestDocumentsHaveWhatIsRead(t *testing.T) {
	t.Parallel()
	written := map[string]reflect.Type{
		"/federation":     reflect.TypeFor[gateway.Federation](),
		"/events/waiting": reflect.TypeFor[[]inbox.WaitingEvent](),
		"/events/why":     reflect.TypeFor[gateway.Story](),
		"/planes":         reflect.TypeFor[[]plane.Copy](),
	}
	for path, reads := range console.Documents {
		require.Contains(t, written, path)
		compare(t, path, reads, written[path])
	}
}

// compare wants everything of what is read to be in what is written, in the same
// kind of value.
func compare(t *testing.T, path string, reads, writes reflect.Type) {
	t.Helper()
	for writes.Kind() == reflect.Pointer {
		writes = writes.Elem()
	}
	for reads.Kind() == reflect.Pointer {
		reads = reads.Elem()
	}
	if !assert.Equal(t, reads.Kind(), writes.Kind(), path) || reads == reflect.TypeFor[time.Time]() {
		return
	}
	switch reads.Kind() {
	case reflect.Slice, reflect.Map:
		compare(t, path, reads.Elem(), writes.Elem())
	case reflect.Struct:
		have := map[string]reflect.Type{}
		for _, f := range reflect.VisibleFields(writes) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			have[name] = f.Type
		}
		for _, f := range reflect.VisibleFields(reads) {
			name := f.Tag.Get("json")
			if assert.Contains(t, have, name, path) {
				compare(t, path+"."+name, f.Type, have[name])
			}
		}
	}
}
