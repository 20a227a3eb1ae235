// Package admin is the HTTP face for those who operate a gateway: is it alive
// (/livez), can it serve its own stamp (/readyz), how is everything here
// (/status) and in all stamps (/federation), what is wrong (/doctor), metrics (/metrics),
// the planes (/planes) and the dead letters (/events/dlq); and for people the console (/console/).
//
// It listens on loopback unless told otherwise: it has no authentication of
// its own.
package admin
