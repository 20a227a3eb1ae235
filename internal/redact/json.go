package redact

import (
	"encoding/json"
	"fmt"
	"regexp"
)

var secretName = regexp.MustCompile(`(?i)` + secretWords)

// JSON returns v as JSON without what must not be seen. It stays JSON.
func JSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	if b, err = json.MarshalIndent(walk(plain), "", "  "); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return append(b, '\n'), nil
}

func walk(v any) any {
	switch v := v.(type) {
	case string:
		return string(Text([]byte(v)))
	case []any:
		for i := range v {
			v[i] = walk(v[i])
		}
	case map[string]any:
		if _, event := v[string(eventMark)]; event {
			return Mark
		}
		for name, is := range v {
			if secretName.MatchString(name) && is != nil && is != "" {
				v[name] = Mark
				continue
			}
			v[name] = walk(is)
		}
	}
	return v
}
