package topology

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
)

// An Env is what an expression sees of an event.
type Env struct {
	Type    string            `expr:"type"`
	Source  string            `expr:"source"`
	ID      string            `expr:"id"`
	Project string            `expr:"project"`
	Stage   string            `expr:"stage"`
	Service string            `expr:"service"`
	Labels  map[string]string `expr:"labels"`
	Data    map[string]any    `expr:"data"` // the whole data block
}

// An Expr is a condition over an event: compiled, type-checked, and bounded in
// cost by its size, since it has no loops. It is safe for concurrent use.
type Expr struct {
	Text    string
	program *vm.Program
}

// Bounds of an expression.
const (
	maxExprBytes = 4096
	maxExprNodes = 500
)

// functions are the built-ins an expression may call: those whose cost is
// bounded by their arguments, and no loops.
var functions = []string{"lower", "upper", "trim", "len", "hasPrefix", "hasSuffix", "indexOf", "int", "float", "string"}

// CompileExpr checks text and makes an Expr of it. It must be a condition: its
// value is true or false.
func CompileExpr(text string) (*Expr, error) {
	if len(text) > maxExprBytes {
		return nil, fmt.Errorf("is longer than %d bytes", maxExprBytes)
	}
	if what := badRegexp(text); what != "" {
		return nil, fmt.Errorf("does not compile: %s are not supported", what)
	}
	opts := []expr.Option{expr.Env(Env{}), expr.AsBool(), expr.MaxNodes(maxExprNodes), expr.DisableAllBuiltins()}
	for _, f := range functions {
		opts = append(opts, expr.EnableBuiltin(f))
	}
	var seen unbounded
	p, err := expr.Compile(text, append(opts, expr.Patch(&seen))...)
	if seen.what != "" {
		return nil, fmt.Errorf("does not compile: %s are not supported", seen.what)
	}
	if err != nil {
		// The rest of the message is a drawing of the place, on lines of its own.
		what, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("does not compile: %s", what)
	}
	return &Expr{Text: text, program: p}, nil
}

// unbounded looks for what could make a short expression cost much: loops,
// ranges, and variables, with which a text could double again and again.
type unbounded struct{ what string }

// Visit implements ast.Visitor.
func (u *unbounded) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BuiltinNode:
		if !slices.Contains(functions, n.Name) {
			u.what = "loops such as " + n.Name
		}
	case *ast.VariableDeclaratorNode:
		u.what = "variables"
	case *ast.BinaryNode:
		if n.Operator == ".." {
			u.what = "ranges"
		}
	}
}

// errNoValue reports an expression that needs a value the event does not have.
var errNoValue = errors.New("the event has no such value")

// Match reports whether the expression is true for an event. If the event
// lacks what the expression compares, it is false, and the error says so.
func (e *Expr) Match(env Env) (bool, error) {
	out, err := expr.Run(e.program, env)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errNoValue, err)
	}
	ok, isBool := out.(bool)
	if !isBool {
		return false, fmt.Errorf("%w: its value is a %T, not true or false", errNoValue, out)
	}
	return ok, nil
}
