package chart

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type object = map[string]any

// schemaOf returns the JSON Schema of the values: strict where the chart
// itself reads, free where Kubernetes does.
func schemaOf(t *testing.T, params []param) object {
	t.Helper()
	root := object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of the Ringway chart",
		"type": "object", "properties": object{}, "additionalProperties": false,
	}
	for _, p := range params {
		at := root
		keys := strings.Split(p.path, ".")
		for _, key := range keys[:len(keys)-1] {
			props := at["properties"].(object)
			if props[key] == nil {
				props[key] = object{"type": "object", "properties": object{}, "additionalProperties": false}
			}
			at = props[key].(object)
		}
		leaf := kindOf(t, p.kind)
		leaf["description"] = p.meaning
		at["properties"].(object)[keys[len(keys)-1]] = leaf
	}
	// A chart that has this one as a part gives its own globals to all.
	root["properties"].(object)["global"].(object)["additionalProperties"] = true
	return root
}

// kindOf returns the schema of a type as values.yaml names it.
func kindOf(t *testing.T, kind string) object {
	t.Helper()
	list := func(of object) object { return object{"type": "array", "items": of} }
	table := func(of object) object { return object{"type": "object", "additionalProperties": of} }
	text := func() object { return object{"type": "string"} }
	switch kind {
	case "string":
		return text()
	case "bool":
		return object{"type": "boolean"}
	case "int":
		return object{"type": "integer", "minimum": 0}
	case "port":
		return object{"type": "integer", "minimum": 1, "maximum": 65535}
	case "nodePort":
		return object{"type": "integer", "minimum": 0, "maximum": 65535}
	case "duration":
		return object{"type": "string", "pattern": `^([0-9]+(ms|s|m|h))+$`}
	case "quantity":
		return object{"type": []string{"string", "integer"}}
	case "intOrPercent":
		return object{"oneOf": []object{{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}}}
	case "map":
		return table(text())
	case "object":
		return object{"type": "object"}
	case "strings":
		return list(text())
	case "objects":
		return list(object{"type": "object"})
	case "config":
		return configSchema(t)
	case "targets":
		return table(strict(object{
			"existingSecret": text(), "ca": text(), "cert": text(), "key": text(), "serverName": text(),
			"credentials": table(text()), "credentialPrefix": text(), "serviceAccount": object{"type": "boolean"},
		}))
	case "controlPlanes":
		of := strict(object{"existingSecret": text(), "tokenKey": text(), "ca": text(), "cert": text(), "key": text()})
		of["required"] = []string{"existingSecret"}
		return table(of)
	case "egress":
		of := strict(object{
			"name": text(), "cidr": text(), "namespace": text(),
			"port": object{"type": "integer", "minimum": 1, "maximum": 65535},
		})
		of["required"] = []string{"name"}
		of["anyOf"] = []object{{"required": []string{"port"}}, {"required": []string{"namespace"}}}
		return list(of)
	}
	require.Contains(t, kind, "|", "{%s} is no type", kind)
	var choices []any
	for word := range strings.SplitSeq(kind, "|") {
		if n, err := strconv.Atoi(word); err == nil {
			choices = append(choices, n)
		} else {
			choices = append(choices, word)
		}
	}
	return object{"enum": choices}
}

func strict(properties object) object {
	return object{"type": "object", "properties": properties, "additionalProperties": false}
}

// The keys of gateway.yaml that the chart sets by itself.
var chartSets = []string{
	"stamp", "topology", "identity", "data", "listen", "replica", "targets", "controlPlanes", "externalCredentials",
	"rest.cert", "rest.key", "rest.tokens", "rest.clusterDomain", "rest.tokenReview", "rest.audience", "rest.accounts",
}

// configSchema knows the other keys of gateway.yaml, from the list that the
// gateway's own help is made of. Their values are the gateway's to check.
func configSchema(t *testing.T) object {
	t.Helper()
	out := strict(object{})
	for line := range strings.Lines(string(read(t, "../../cmd/ringway/options.txt"))) {
		key, meaning, ok := strings.Cut(strings.TrimSpace(line), "\t")
		require.True(t, ok)
		group, name, grouped := strings.Cut(key, ".")
		if contains(chartSets, key) || contains(chartSets, group) {
			continue
		}
		leaf := object{"description": meaning}
		props := out["properties"].(object)
		if !grouped {
			props[key] = leaf
			continue
		}
		if props[group] == nil {
			props[group] = strict(object{})
		}
		props[group].(object)["properties"].(object)[name] = leaf
	}
	return out
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
