package main

import (
	_ "embed" // for options.txt
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// A setting is one key of an options struct: listen.clients is the flag
// --listen-clients and the variable RINGWAY_LISTEN_CLIENTS.
type setting struct {
	key   string
	value reflect.Value
}

func (s setting) flag() string {
	var b strings.Builder
	upper := true // so far in a word of capitals, or at the start
	for _, r := range strings.ReplaceAll(s.key, ".", "-") {
		is := r >= 'A' && r <= 'Z'
		if is {
			if !upper {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		upper = is
		b.WriteRune(r)
	}
	return b.String()
}

func (s setting) variable() string {
	return "RINGWAY_" + strings.ToUpper(strings.ReplaceAll(s.flag(), "-", "_"))
}

// set parses text into the setting.
func (s setting) set(text string) error {
	switch v := s.value; {
	case v.Type() == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%s: %q is not a duration such as 10s", s.key, text)
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		is, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%s: %q is not true or false", s.key, text)
		}
		v.SetBool(is)
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%s: %q is not a number", s.key, text)
		}
		v.SetInt(n)
	case v.Kind() == reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%s: %q is not a number", s.key, text)
		}
		v.SetFloat(x)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		var list []string
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list).Convert(v.Type()))
	case v.Kind() == reflect.Map:
		return s.setMap(text)
	default:
		return fmt.Errorf("%s: cannot be set from text", s.key)
	}
	return nil
}

// setMap parses "name.key=value,name.key=value" into a map of structs of
// texts, or of maps of texts by name.key.name; and "name=value" into a map of
// texts.
func (s setting) setMap(text string) error {
	out := reflect.MakeMap(s.value.Type())
	if s.value.Type().Elem().Kind() == reflect.String {
		for part := range strings.SplitSeq(text, ",") {
			name, value, ok := strings.Cut(part, "=")
			if !ok {
				return fmt.Errorf("%s: %q is not name=value", s.key, part)
			}
			out.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
		}
		s.value.Set(out)
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		at, value, ok := strings.Cut(part, "=")
		name, key, dotted := strings.Cut(at, ".")
		if !ok || !dotted {
			return fmt.Errorf("%s: %q is not name.key=value", s.key, part)
		}
		id := reflect.ValueOf(name).Convert(s.value.Type().Key())
		e := reflect.New(s.value.Type().Elem()).Elem()
		if old := out.MapIndex(id); old.IsValid() {
			e.Set(old)
		}
		known := false
		for _, field := range walk("", e) {
			known = known || field.put(key, value)
		}
		if !known {
			return fmt.Errorf("%s: %q is not a key", s.key, key)
		}
		out.SetMapIndex(id, e)
	}
	s.value.Set(out)
	return nil
}

// put sets a text, or an entry of a map of texts, if key is that.
func (s setting) put(key, value string) bool {
	if s.value.Kind() == reflect.String && s.key == key {
		s.value.SetString(value)
		return true
	}
	name, ok := strings.CutPrefix(key, s.key+".")
	if !ok || s.value.Kind() != reflect.Map {
		return false
	}
	grown := reflect.MakeMap(s.value.Type())
	for it := s.value.MapRange(); it.Next(); {
		grown.SetMapIndex(it.Key(), it.Value())
	}
	grown.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
	s.value.Set(grown)
	return true
}

// settings lists the keys of the struct that options points to, as its yaml
// tags name them.
func settings(options any) []setting {
	return walk("", reflect.ValueOf(options).Elem())
}

func walk(prefix string, v reflect.Value) []setting {
	var out []setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := prefix + strings.Split(f.Tag.Get("yaml"), ",")[0]
		if f.Type.Kind() == reflect.Struct {
			out = append(out, walk(key+".", v.Field(i))...)
			continue
		}
		out = append(out, setting{key: key, value: v.Field(i)})
	}
	return out
}

// bindFlags adds a flag for each setting. The defaults shown are those of
// options as it is.
func bindFlags(fs *pflag.FlagSet, options any) {
	meaning := meanings()
	for _, s := range settings(options) {
		// pflag would take what is in backquotes for the name of the value.
		usage := fmt.Sprintf("%s (%s", strings.ReplaceAll(meaning[s.key], "`", "'"), s.variable())
		if !s.value.IsZero() {
			usage += fmt.Sprintf("; default %v", s.value.Interface())
		}
		fs.String(s.flag(), "", usage+")")
	}
}

// optionsText says what each key of gateway.yaml means, a line each, as the
// comments of gateway.Options say it. A test writes it.
//
//go:embed options.txt
var optionsText string

func meanings() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(optionsText) {
		key, text, _ := strings.Cut(strings.TrimSpace(line), "\t")
		out[key] = text
	}
	return out
}

// override sets what the environment says and then what flags say.
func override(fs *pflag.FlagSet, env func(string) (string, bool), options any) error {
	for _, s := range settings(options) {
		if text, ok := env(s.variable()); ok {
			if err := s.set(text); err != nil {
				return fmt.Errorf("%s: %w", s.variable(), err)
			}
		}
		if f := fs.Lookup(s.flag()); f != nil && f.Changed {
			if err := s.set(f.Value.String()); err != nil {
				return fmt.Errorf("--%s: %w", s.flag(), err)
			}
		}
	}
	return nil
}
