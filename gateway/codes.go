package gateway

import "strings"

// The codes of what a person may have to act on. docs/errors.md says of each
// what it means, why it happens, and what to do.
const (
	CodeTopology  = "RW-101" // the topology file is not in force
	CodeDiffering = "RW-102" // stamps have different topologies in force
	CodePending   = "RW-103" // a change waits for a restart
	CodeExpires   = "RW-201" // an identity or a certificate expires
	CodeRights    = "RW-202" // a right is missing
	CodeLink      = "RW-301" // a link is down
	CodeSilent    = "RW-302" // a stamp does not answer over links that are up
	CodeName      = "RW-303" // a name has no address
	CodePort      = "RW-304" // nothing answers at an address
	CodeClock     = "RW-305" // clocks are apart
	CodeStore     = "RW-306" // the disk, or what is stored on it
	CodeVersion   = "RW-307" // stamps run different versions
	CodeLimit     = "RW-308" // a limit is near
	CodePart      = "RW-309" // a part of the gateway does not work
	CodeReplica   = "RW-310" // replicas are missing
	CodeMissing   = "RW-311" // fewer stamps answer than there should be
	CodeTaken     = "RW-312" // a name of Keptn's leads to a gateway
	CodeWaiting   = "RW-401" // events that nobody takes
	CodeIdle      = "RW-402" // planes that get no events
	CodeLetters   = "RW-403" // dead letters
	CodeHeld      = "RW-405" // an operator holds events
	CodeControl   = "RW-404" // a control plane does not answer
)

// errorsPage is where docs/errors.md can be read.
const errorsPage = "https://github.com/ringway/ringway/blob/main/docs/errors.md#"

// See returns where a code is explained.
func See(code string) string {
	if code == "" {
		return ""
	}
	return errorsPage + strings.ToLower(code)
}
