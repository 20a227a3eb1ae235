package bridge_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

const task = "sh.keptn.event.deployment.triggered"

// body is a task event with the given replacements, as old, new pairs.
func body(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`{"specversion":"1.0","id":"1","source":"s","type":"` + task +
		`","time":"2023-05-04T09:10:11.123456789Z","data":{"project":"p","stage":"dev","service":"c","labels":{"a":"b"},` +
		`"n":[1,-2.5e+3,true,null,{"x":"\u00e9\n"}]},"shkeptncontext":"k"}`)
}

func TestParseReadsWhatRoutingNeeds(t *testing.T) {
	e, err := bridge.Parse(task, []byte(body()))
	require.NoError(t, err)
	require.Equal(t, "1", e.ID)
	require.Equal(t, task, e.Type)
	require.Equal(t, "k", e.Context)
	require.Equal(t, []string{"p", "dev", "c"}, []string{e.Project, e.Stage, e.Service})
	require.Equal(t, bridge.KindTaskTriggered, e.Kind)
}

func TestParseUnescapesStrings(t *testing.T) {
	e, err := bridge.Parse(task, []byte(body(`"project":"p"`, `"project":"p\u00e9\"\\q"`)))
	require.NoError(t, err)
	require.Equal(t, `pé"\q`, e.Project)
}

func TestParseRefusesWhatKeptnCannotRead(t *testing.T) {
	for name, tc := range map[string]struct{ body, want string }{
		"empty":             {"", "not a JSON object"},
		"array":             {"[]", "not a JSON object"},
		"text after":        {body() + "x", "text after"},
		"cut off":           {body()[:60], "string without end"},
		"no type":           {body(`"type":"`+task+`",`, ""), "no type"},
		"other type":        {body(`"type":"`+task, `"type":"x`), "is not the subject"},
		"type is a number":  {body(`"type":"`+task+`"`, `"type":7`), "type is not a string"},
		"no source":         {body(`"source":"s",`, ""), "no source"},
		"null source":       {body(`"source":"s"`, `"source":null`), "no source"},
		"no id":             {body(`"id":"1",`, ""), "no id"},
		"no specversion":    {body(`"specversion":"1.0",`, ""), "no specversion"},
		"bad time":          {body("2023-05-04T09", "yesterday"), "not RFC 3339"},
		"data is a string":  {body(`"data":{`, `"data":"x","e":{`), "data is not an object"},
		"label is a number": {body(`"a":"b"`, `"a":1`), "data.labels.a is not a string"},
		"labels is a list":  {body(`{"a":"b"}`, `["a"]`), "data.labels is not an object"},
		"no project":        {body(`"project":"p",`, ""), "no data.project"},
		"no context":        {body(`,"shkeptncontext":"k"`, ""), "no shkeptncontext"},
		"bad number":        {body("-2.5e+3", "01"), "no comma"},
		"bad escape":        {body(`\n`, `\q`), "bad escape"},
		"deep":              {body(`[1,`, strings.Repeat("[", 2000)+"1"+strings.Repeat("]", 2000)+",["), "nested too deep"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bridge.Parse(task, []byte(tc.body))
			require.ErrorIs(t, err, bridge.ErrInvalid)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestParseReadsEveryCapturedMessage(t *testing.T) {
	files, err := filepath.Glob("../test/testdata/keptn/*/nats-messages.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		for sc := bufio.NewScanner(f); sc.Scan(); {
			var m struct{ Subject, Data string }
			require.NoError(t, json.Unmarshal(sc.Bytes(), &m))
			e, err := bridge.Parse(m.Subject, []byte(m.Data))
			require.NoError(t, err, name)
			require.Equal(t, "sockshop", e.Project)
		}
		require.NoError(t, f.Close())
	}
}

// TestParseReadsJSONAsEverybodyDoes: what Parse skips is checked all the same.
func TestParseReadsJSONAsEverybodyDoes(t *testing.T) {
	for _, v := range []string{
		`[]`, `{}`, `[[],{}]`, `[{"a":[1,{"b":[]}]},[[[0]]]]`, `{"a":{"b":{"c":[{}]}},"d":[true,false,null]}`, ` [ 1 , { "a" : 2 } ] `,
		`"\u00e9 long enough for eight bytes \" and more"`, `-0.5e+10`, `[1,]`, `{"a":}`, `{"a" 1}`, `{1:2}`, `[1 2]`, `[}`, `{]`, `[1}`,
		`[10]`, `{"a":12}`, `{"a":1 ,"b" :2, "c": 3}`, `[1,"a","b"]`, `["a":1]`, `[12.5,1e5,10E-3,1.5e+2]`, `[12a]`, `[1.e5]`, `[1e]`, `{"\u0061":1,"b\n":2}`,
		`{"a":0,"b":-1}`, `[00]`, `[-]`, `{"a":1,"b"}`, `{"a":1,2}`, `{"a":"b""c":1}`, `12 3`, `{"a":[],"b":{}}`, `[{},{"a":[{}]}]`, `{"a":"\"","b":"\\"}`,
		`{"a":[1}]`, `"\x"`, `"` + "12345678\x01" + `"`, `"` + "1\x1f" + `"`, `tru`, `01`, `1.`, `[[]`, `{"a":1,}`, `"é\u12"`,
	} {
		b := body(`"n":[1,-2.5e+3,true,null,{"x":"\u00e9\n"}]`, `"n":`+v)
		_, err := bridge.Parse(task, []byte(b))
		require.Equal(t, json.Valid([]byte(b)), err == nil, "%s: %v", v, err)
	}
}

// FuzzSkip: what Parse skips is taken if and only if encoding/json takes it.
func FuzzSkip(f *testing.F) {
	for _, v := range []string{`[{"a":[1,-2.5e3,true,{"b":"\u00e9"}],"c":null}]`, `{"a" : "b" }`, `[1}`, `{"a":12,"b":[]}`} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		b := body(`"n":[1,-2.5e+3,true,null,{"x":"\u00e9\n"}]`, `"n":`+v)
		_, err := bridge.Parse(task, []byte(b))
		switch {
		case err == nil:
			require.True(t, json.Valid([]byte(b)), v)
		case !strings.Contains(err.Error(), "nested too deep"):
			require.False(t, json.Valid([]byte(v)), "%s: %v", v, err)
		}
	})
}

// FuzzParse: what Parse takes, encoding/json takes too and reads alike, and
// nothing makes it panic.
func FuzzParse(f *testing.F) {
	f.Add(body())
	f.Add(`{"data":{"labels":null},"type":"` + task + `"}`)
	f.Fuzz(func(t *testing.T, s string) {
		e, err := bridge.Parse(task, []byte(s))
		if err != nil {
			return
		}
		var want struct {
			Data map[string]any `json:"data"`
		}
		require.NoError(t, json.Unmarshal([]byte(s), &want))
		require.True(t, json.Valid([]byte(s)))
		require.NotEmpty(t, e.ID)
		_ = e.Env()
	})
}

func TestClassify(t *testing.T) {
	for typ, want := range map[string]bridge.Kind{
		"sh.keptn.event.deployment.triggered":      bridge.KindTaskTriggered,
		"sh.keptn.event.get-sli.triggered":         bridge.KindTaskTriggered,
		"sh.keptn.event.deployment.started":        bridge.KindTaskAnswer,
		"sh.keptn.event.deployment.status.changed": bridge.KindTaskAnswer,
		"sh.keptn.event.deployment.invalidated":    bridge.KindTaskAnswer,
		"sh.keptn.event.dev.delivery.triggered":    bridge.KindSeqTriggered,
		"sh.keptn.event.dev.delivery.finished":     bridge.KindSeqProgress,
		"sh.keptn.event.service.create.finished":   bridge.KindLifecycle,
		"sh.keptn.event.project.delete.finished":   bridge.KindLifecycle,
		"sh.keptn.log.error":                       bridge.KindReport,
		"sh.keptn.events.problem":                  bridge.KindReport,
		"sh.keptn.event.monitoring.configure":      bridge.KindReport,
		"sh.keptn.event.deployment.done":           bridge.KindOther,
		"sh.keptn.event..triggered":                bridge.KindOther,
		"sh.keptn.internal.event.x":                bridge.KindOther,
	} {
		require.Equal(t, want, bridge.Classify(typ), typ)
	}
}

func TestKeyTellsEventsApart(t *testing.T) {
	k := bridge.KeyOf("1", "t", "s")
	require.Len(t, k, 22)
	require.Equal(t, k, bridge.KeyOf("1", "t", "s"))
	require.NotEqual(t, k, bridge.KeyOf("1t", "", "s"))
	require.NotContains(t, k, ".")
}
