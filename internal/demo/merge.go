package demo

// merge puts what a finished task returned over the data of a sequence, as
// shipyard-controller does before the next task: maps are merged, arrays
// prepended, anything else replaced. Neither argument is changed.
func merge(old, add map[string]any) map[string]any {
	out := make(map[string]any, len(old)+len(add))
	for k, v := range old {
		out[k] = v
	}
	for k, v := range add {
		switch v := v.(type) {
		case map[string]any:
			was, _ := out[k].(map[string]any)
			out[k] = merge(was, v)
		case []any:
			was, _ := out[k].([]any)
			out[k] = append(append([]any{}, v...), was...)
		default:
			out[k] = v
		}
	}
	return out
}

// With puts value at path into a copy of data, which may be nil, as the last
// of nested maps named by path.
func With(data map[string]any, path []string, value any) map[string]any {
	if len(path) == 0 {
		return data
	}
	add := map[string]any{path[len(path)-1]: value}
	for i := len(path) - 2; i >= 0; i-- {
		add = map[string]any{path[i]: add}
	}
	return merge(data, add)
}
