package yamlfile_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/yamlfile"
)

type house struct {
	Name   string            `yaml:"name"`
	Floors int               `yaml:"floors"`
	Small  int8              `yaml:"small"`
	Share  float64           `yaml:"share"`
	Open   bool              `yaml:"open"`
	Sure   *bool             `yaml:"sure"`
	Wait   time.Duration     `yaml:"wait"`
	Labels map[string]string `yaml:"labels"`
	Tags   []string          `yaml:"tags"`
	Rooms  []room            `yaml:"rooms"`
	Garden garden            `yaml:"garden"`
	hidden string
}

type room struct {
	Name string `yaml:"name"`
	Area int    `yaml:"area,omitempty"`
}

// SetName lets a bare word stand for a room.
func (r *room) SetName(name string) { r.Name = name }

type garden struct {
	Trees []string `yaml:"trees"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	yes := true
	h := house{Open: true, Garden: garden{Trees: []string{"oak"}}, hidden: "kept"}
	require.NoError(t, yamlfile.Decode("x.yaml", []byte(`
name: 1.20 # a number is a text where a text is due, as it is written
floors: 3
small: -5
share: 0.25
sure: true
wait: 1h30m
labels: {a: b, app.kubernetes.io/name: x}
tags: [one, "2"]
rooms: [hall, {name: kitchen, area: 12}]
garden:
`), &h))
	require.Equal(t, house{
		Name: "1.20", Floors: 3, Small: -5, Share: 0.25, Open: true, Sure: &yes, Wait: 90 * time.Minute,
		Labels: map[string]string{"a": "b", "app.kubernetes.io/name": "x"}, Tags: []string{"one", "2"},
		Rooms: []room{{Name: "hall"}, {Name: "kitchen", Area: 12}}, Garden: garden{Trees: []string{"oak"}}, hidden: "kept",
	}, h, "what the file does not name stays as it is")
}

func TestEmptyFileDecodesToNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "null\n"} {
		h := house{Name: "as before"}
		require.NoError(t, yamlfile.Decode("x.yaml", []byte(text), &h), "%q", text)
		require.Equal(t, house{Name: "as before"}, h)
	}
}

func TestProblemsOfOneValue(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"namee: x":                `x.yaml:1:1: namee: is not a known key (did you mean name?)`,
		"zzzzzzzz: x":             `x.yaml:1:1: zzzzzzzz: is not a known key`,
		"garden: {treees: [a]}":   `x.yaml:1:10: garden.treees: is not a known key (did you mean trees?)`,
		"name: [a]":               `x.yaml:1:7: name: is a list, not a single value`,
		"name: {a: b}":            `x.yaml:1:7: name: is an object, not a single value`,
		"floors: many":            `x.yaml:1:9: floors: "many" is not a whole number`,
		"floors: '3'":             `x.yaml:1:9: floors: "3" is a text, not a number (write it without quotes)`,
		"floors: 3.5":             `x.yaml:1:9: floors: "3.5" is not a whole number`,
		"small: 300":              `x.yaml:1:8: small: "300" is not a whole number`,
		"share: half":             `x.yaml:1:8: share: "half" is not a number`,
		"share: .nan":             `x.yaml:1:8: share: ".nan" is not a number`,
		"share: '0.5'":            `x.yaml:1:8: share: "0.5" is a text, not a number (write it without quotes)`,
		"open: yes":               `x.yaml:1:7: open: "yes" is not true or false (write true or false)`,
		"wait: 10":                `x.yaml:1:7: wait: "10" is not a duration (write it as 90s, 10m or 24h)`,
		"labels: [a]":             `x.yaml:1:9: labels: is a list, not an object (write keys and values)`,
		"labels: {a: [b]}":        `x.yaml:1:13: labels.a: is a list, not a single value`,
		"tags: one":               `x.yaml:1:7: tags: is "one", not a list (write a list: [a, b])`,
		"garden: oak":             `x.yaml:1:9: garden: is "oak", not an object (write keys and values)`,
		"rooms: [{name: a}, [b]]": `x.yaml:1:20: rooms[1]: is a list, not an object (write keys and values)`,
		"[a]":                     `x.yaml:1:1: is a list, not an object (write keys and values)`,
		"name: a\nname: b":        `x.yaml:2:1: name: is given twice, first on line 1 (keep one of them)`,
		"tags: &t [a]\nname: *t":  `x.yaml:2:7: name: is an alias, which is not supported (write the value again)`,
		"name: !!binary YQ==":     `x.yaml:1:7: name: has the tag !!binary, which is not supported (drop it)`,
		"name: !Sub x":            `x.yaml:1:7: name: has the tag !Sub, which is not supported (drop it)`,
		"? [a]\n: b":              `x.yaml:1:3: has a key that is not a word`,
		"name: a\n---\nname: b":   `x.yaml:2:1: holds more than one document (keep the first)`,
		"name: a\n---\nname: [":   `x.yaml:3:1: is not YAML: did not find expected node content`,
		"name: [":                 `x.yaml:1:1: is not YAML: did not find expected node content`,
		"name: a\n\tfloors: 3":    `x.yaml:2:1: is not YAML: found a tab character that violates indentation`,
		strings.Repeat("[", 70) + strings.Repeat("]", 70): `is nested too deep`,
		strings.Repeat("#", yamlfile.MaxSize+1):           `x.yaml: is larger than 1048576 bytes`,
	} {
		err := yamlfile.Decode("x.yaml", []byte(text), &house{})
		require.ErrorContains(t, err, want, "%.60s", text)
		var ps yamlfile.Problems
		require.True(t, errors.As(err, &ps))
		require.Len(t, ps, 1, "%v", ps)
	}
}

func TestEveryProblemAtOnceInOrderOfTheFile(t *testing.T) {
	t.Parallel()
	err := yamlfile.Decode("x.yaml", []byte("namee: x\nfloors: many\nrooms:\n  - {name: a, area: big}\n  - area: 3\n    colour: red\nopen: maybe\n"), &house{})
	require.EqualError(t, err, `x.yaml:1:1: namee: is not a known key (did you mean name?)
x.yaml:2:9: floors: "many" is not a whole number
x.yaml:4:21: rooms[0].area: "big" is not a whole number
x.yaml:6:5: rooms[1].colour: is not a known key
x.yaml:7:7: open: "maybe" is not true or false (write true or false)`)
}

func TestPlaceOfAPath(t *testing.T) {
	t.Parallel()
	f, err := yamlfile.Parse("x.yaml", []byte("name: x\nlabels:\n  a: 1\n  a.b: 2\nrooms:\n  - name: hall\n  - {name: kitchen, area: 3}\n"))
	require.NoError(t, err)
	for path, want := range map[string]string{
		"":                 "x.yaml:1:1: : m",
		"name":             "x.yaml:1:7: name: m",
		"labels.a":         "x.yaml:3:6: labels.a: m",
		"labels.a.b":       "x.yaml:4:8: labels.a.b: m",
		"rooms[1].area":    "x.yaml:7:27: rooms[1].area: m",
		"rooms[0].area":    "x.yaml:6:5: rooms[0].area: m",
		"rooms[7].area":    "x.yaml:6:3: rooms[7].area: m",
		"rooms[x":          "x.yaml:6:3: rooms[x: m",
		"rooms[-1]":        "x.yaml:6:3: rooms[-1]: m",
		"garden.trees[3]":  "x.yaml:1:1: garden.trees[3]: m",
		"name.first":       "x.yaml:1:7: name.first: m",
		"nam":              "x.yaml:1:1: nam: m",
		"rooms[1].name[0]": "x.yaml:7:12: rooms[1].name[0]: m",
	} {
		require.Equal(t, strings.Replace(want, ": : ", ": ", 1), f.Problem(path, "", "m").Error())
	}
	require.Equal(t, 7, f.Line("rooms[1]"))
	require.Zero(t, f.Line("rooms[2]"))
	empty, err := yamlfile.Parse("x.yaml", nil)
	require.NoError(t, err)
	require.Equal(t, "x.yaml: rooms[0]: m", empty.Problem("rooms[0]", "", "m").Error())
	require.Zero(t, empty.Line("rooms"))
}

// A small file must not cost much memory, however it is nested. The test is not
// parallel, since it counts what is allocated.
func TestCostIsBoundedByTheSizeOfTheFile(t *testing.T) {
	long := strings.Repeat("k", 1000)
	for name, text := range map[string]string{
		"long keys around a long list": strings.Repeat("{"+long+": ", 60) + "[" + strings.Repeat("1,", 20_000) + "1]" + strings.Repeat("}", 60),
		"one long key":                 "? " + strings.Repeat("k", 50_000) + "\n: [" + strings.Repeat("1,", 20_000) + "1]\n",
		"a long list of nothing":       "rooms: [" + strings.Repeat("[],", 200_000) + "]",
		"a long value":                 "floors: " + strings.Repeat("9", 500_000),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := yamlfile.Decode("x.yaml", []byte(text), &house{})
		runtime.ReadMemStats(&after)
		require.Error(t, err, name)
		require.Less(t, len(err.Error()), 1<<20, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(400*len(text)), name)
	}
}

func TestTooManyProblemsAreCut(t *testing.T) {
	t.Parallel()
	var ps yamlfile.Problems
	require.True(t, errors.As(yamlfile.Decode("x.yaml", []byte("tags: ["+strings.Repeat("[],", 5000)+"]"), &house{}), &ps))
	require.Len(t, ps, 1001)
	require.Contains(t, ps[1000].Error(), "there is more wrong from here on")
}

func TestMarshalIsReadAgain(t *testing.T) {
	t.Parallel()
	in := room{Name: "yes", Area: 4}
	text, err := yamlfile.Marshal(in)
	require.NoError(t, err)
	var out room
	require.NoError(t, yamlfile.Decode("x.yaml", text, &out))
	require.Equal(t, in, out)
}

// FuzzDecode: no input makes the decoder panic or hang, and every problem it
// finds has a message.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"name: x\nrooms: [hall, {name: a, area: 3}]\nlabels: {a: b}\nwait: 3m\n",
		"a: &a [*a]\n", "? {a: b}\n: c\n", "--- !x\n- |\n  y\n...\n", "<<: {name: x}\n", "\ufeffname: x", "%YAML 1.1\n---\nname: x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := yamlfile.Decode("x.yaml", data, &house{})
		var ps yamlfile.Problems
		if err != nil {
			require.True(t, errors.As(err, &ps))
			require.NotEmpty(t, ps)
		}
		for _, p := range ps {
			require.NotEmpty(t, p.Msg)
		}
	})
}
