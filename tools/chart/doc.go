// Package chart tests the Helm chart in charts/ringway with the real helm, and
// writes what is made from its values: the schema and the table of its README.
//
// It is a module of its own, so that neither helm nor the types of Kubernetes
// are dependencies of the gateway. `make chart` runs it; UPDATE=1 rewrites.
// `make e2e-kube` adds a real API server, `make e2e-image` the image in pods.
package chart
