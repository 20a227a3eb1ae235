// Package yamlfile reads YAML configuration files strictly, and says where in
// the file everything that is wrong is.
//
// It reports every problem at once: unknown and repeated keys, values of the
// wrong type, more than one document, aliases, tags. Each has a line, a column
// and a path such as "stamps[2].link.via". A file costs time and memory in
// proportion to its size, which is bounded.
package yamlfile
