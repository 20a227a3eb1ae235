// Package call has what those who answer HTTP calls meant for Keptn share: the
// face that takes them, the registration of planes, the events they poll, and the
// way to the control plane.
package call
