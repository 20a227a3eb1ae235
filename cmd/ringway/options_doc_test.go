package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
)

// TestOptionsAreDocumented compares options.txt, from which the help of the
// flags comes, and docs/gateway.md with the comments of gateway.Options;
// UPDATE=1 rewrites both.
func TestOptionsAreDocumented(t *testing.T) {
	meaning := comments(t, "../../gateway/options*.go")
	defaults := gateway.DefaultOptions()
	var help, page bytes.Buffer
	page.WriteString(`# gateway.yaml

What a process is, as opposed to what the federation is (that is [topology.yaml](topology.md)). Every key is also a flag of
` + "`ringway run` and a variable" + `; a flag wins over a variable, a variable over the file. Paths in the file are relative to it. A
duration is written as ` + "`10s` or `72h`" + `; a list, as a flag or variable, with commas. Secrets are never here, but in files that are named here.

This page is made from the code; a test compares them.

| key | flag | default | meaning |
|---|---|---|---|
`)
	for _, s := range settings(&defaults) {
		text := meaning[s.key]
		require.NotEmpty(t, text, "key %s has no comment", s.key)
		fmt.Fprintf(&help, "%s\t%s\n", s.key, text)
		fmt.Fprintf(&page, "| `%s` | `--%s` | %s | %s |\n", s.key, s.flag(), shown(s.value), text)
	}
	for file, want := range map[string][]byte{"options.txt": help.Bytes(), "../../docs/gateway.md": page.Bytes()} {
		if os.Getenv("UPDATE") != "" {
			require.NoError(t, os.WriteFile(file, want, 0o644)) //nolint:gosec // a document
		}
		got, err := os.ReadFile(file) //nolint:gosec // of this repository
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "run UPDATE=1 go test ./cmd/ringway -run Documented")
	}
}

func shown(v reflect.Value) string {
	if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 {
		return ""
	}
	if d, ok := v.Interface().(time.Duration); ok {
		switch {
		case d%time.Hour == 0:
			return fmt.Sprintf("`%dh`", d/time.Hour)
		case d%time.Minute == 0:
			return fmt.Sprintf("`%dm`", d/time.Minute)
		}
	}
	return fmt.Sprintf("`%v`", v.Interface())
}

// comments returns the comment of each key of gateway.Options, by key.
func comments(t *testing.T, pattern string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	structs := map[string]*ast.StructType{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	out := map[string]string{}
	var walk func(prefix string, s *ast.StructType)
	walk = func(prefix string, s *ast.StructType) {
		for _, field := range s.Fields.List {
			tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
			key := prefix + strings.Split(tag.Get("yaml"), ",")[0]
			if id, ok := field.Type.(*ast.Ident); ok && structs[id.Name] != nil {
				walk(key+".", structs[id.Name])
				continue
			}
			out[key] = strings.Join(strings.Fields(field.Doc.Text()), " ")
		}
	}
	walk("", structs["Options"])
	return out
}
