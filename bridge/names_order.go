package bridge

// What a gateway is told to do; the rest of a CtlSubject. The body is an order
// with its signature. Answers come as those to questions do: ShowReply.
const (
	// OrderPass asks the gateway of an operator's own stamp to give an order to
	// every stamp that it is for, and to say what came of it.
	OrderPass = "order.pass"
	// OrderTake gives an order to one stamp. Any stamp may carry it: it counts by
	// its signature.
	OrderTake = "order.take"
)
