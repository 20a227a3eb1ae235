package console

import "reflect"

// Documents are what is read of the documents of the admin port.
var Documents = map[string]reflect.Type{
	"/federation":     reflect.TypeFor[federation](),
	"/events/waiting": reflect.TypeFor[[]waitingEvent](),
	"/events/why":     reflect.TypeFor[story](),
	"/planes":         reflect.TypeFor[[]planesOf](),
}
