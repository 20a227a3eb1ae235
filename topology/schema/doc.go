// Package schema makes a JSON Schema of the topology file from its Go types,
// for editors.
package schema
