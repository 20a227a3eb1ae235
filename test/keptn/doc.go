// Package keptn holds stand-ins for the programs of Keptn 0.19.3 and 1.4.5
// that Ringway has to get along with: shipyard-controller with its uniform API,
// api-service, mongodb-datastore, the distributor in both modes and a service
// made with go-sdk in both modes. They are written from what those programs
// show on the wire, with their faults: who dies of a short outage, swallows
// its first events, runs a task twice or hangs a sequence does so here too.
//
// A program is made with its New function, runs once in Run, and returns an
// *Exit when the real one would end its process; a pod that restarts is a new
// one. Start runs one in a test.
//
// Every duration of the originals is a multiple of Clock.Second, which tests
// make short. Time-outs of HTTP requests are not scaled: a slow machine is no
// outage.
package keptn
