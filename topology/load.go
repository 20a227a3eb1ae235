package topology

import (
	"errors"

	"github.com/ringway/ringway/internal/yamlfile"
)

// A Problem is one thing wrong with a topology file, with its place.
type Problem = yamlfile.Problem

// Problems is everything wrong with a topology file. Load and Compile return
// errors of this type.
type Problems = yamlfile.Problems

// Load reads a topology file strictly: an unknown key, a repeated key and a
// value of the wrong type are problems. All are reported at once, together with
// those that Compile would find in the rest of the file. name is for messages.
func Load(name string, data []byte) (*Spec, error) {
	f, err := yamlfile.Parse(name, data)
	if err != nil {
		return nil, err
	}
	s := &Spec{file: f}
	if err := f.Decode(s); err != nil {
		return nil, s.alsoWrong(AsProblems(err))
	}
	return s, nil
}

// Parse is Load and Compile in one.
func Parse(name string, data []byte) (*Mesh, error) {
	s, err := Load(name, data)
	if err != nil {
		return nil, err
	}
	return Compile(s)
}

// AsProblems returns the problems that err is made of, or nil.
func AsProblems(err error) Problems {
	var ps Problems
	errors.As(err, &ps)
	return ps
}
