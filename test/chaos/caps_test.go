package chaos_test

// What the books may ask for. A part of the product that does not promise
// something yet is switched off here, and nowhere else.
const (
	// asksOrderAcrossSubjects: events of one context keep their order at a
	// plane that subscribes to several subjects.
	asksOrderAcrossSubjects = true
	// asksBarrier: a task of `deliver: all` never ends early and never waits
	// for ever.
	asksBarrier = true
	// asksOneOfAny: with `deliver: any` and `first` exactly one stamp takes a
	// task, also when the chosen one is away.
	asksOneOfAny = true
	// asksSteadyRouting: an event that was on its way when its gateway stopped
	// goes on by the topology that it began with, and not by another as well.
	asksSteadyRouting = true
	// asksCapture: what a stamp with several replicas confirmed to have is
	// stored, also while they hand over the lead of their streams.
	asksCapture = true
	// asksStopOfReplicas: the same while all replicas are stopped at once.
	asksStopOfReplicas = false
	// asksLastHop: what may or may not have reached a plane when the gateway
	// died is not delivered to it again if the plane has answered.
	asksLastHop = true
)
