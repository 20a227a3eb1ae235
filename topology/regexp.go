package topology

import (
	"regexp/syntax"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// maxRegexp bounds a regular expression: how many characters and groups it has
// with its repetitions written out. Time and memory grow with that, and a
// few letters can ask for millions.
const maxRegexp = 1000

// regexps looks for regular expressions that could cost much: large ones, and
// those that are made of what an event holds.
type regexps struct{ what string }

// badRegexp says what is wrong with the regular expressions of text, if
// anything. It looks before they are compiled, which costs, too.
func badRegexp(text string) string {
	tree, err := parser.Parse(text)
	if err != nil {
		return "" // the compiler says it better
	}
	var r regexps
	ast.Walk(&tree.Node, &r)
	return r.what
}

// Visit implements ast.Visitor.
func (r *regexps) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if !ok || n.Operator != "matches" {
		return
	}
	pattern, ok := n.Right.(*ast.StringNode)
	if !ok {
		r.what = "patterns that are not written out"
		return
	}
	re, err := syntax.Parse(pattern.Value, syntax.Perl)
	if err == nil && sizeOf(re) > maxRegexp {
		r.what = "patterns this large"
	}
}

// sizeOf returns how large re is with its repetitions written out.
func sizeOf(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		size += sizeOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, maxRegexp+1) // nested repetitions would overflow
}
