// What `make docs` runs. A module of its own, so that what reads Markdown is no
// dependency of the program.
module github.com/ringway/ringway/tools/site

go 1.26.0

require github.com/yuin/goldmark v1.8.7
