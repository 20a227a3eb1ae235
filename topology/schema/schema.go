package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/ringway/ringway/topology"
)

// ID names the schema. Nothing is fetched from there.
const ID = "https://ringway.dev/schema/topology-v1.json"

// JSON returns the schema (draft 2020-12), indented.
func JSON() ([]byte, error) {
	r := &jsonschema.Reflector{
		FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, DoNotReference: false, Mapper: special,
	}
	s := r.Reflect(&topology.Spec{})
	s.ID = ID
	s.Title = "Ringway topology"
	allowWords(s)
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(b, '\n'), nil
}

// special maps types whose text in the file is not what Go's JSON would write.
func special(t reflect.Type) *jsonschema.Schema {
	if t == reflect.TypeFor[time.Duration]() {
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`, Examples: []any{"90s", "10m"}}
	}
	return nil
}

// allowWords lets a bare word stand for a geo or ring.
func allowWords(s *jsonschema.Schema) {
	group := s.Definitions["GroupSpec"]
	if group == nil {
		return
	}
	object := *group
	s.Definitions["GroupSpec"] = &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, &object}}
}
