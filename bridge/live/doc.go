// Package live carries the live custom routes: messages on subjects that are
// not Keptn's, passed on at once and stored nowhere. It promises what core
// NATS promises: at most once. Reply subjects do not cross.
package live
