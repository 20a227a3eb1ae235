package auth

import (
	"slices"

	"github.com/nats-io/jwt/v2"

	"github.com/ringway/ringway/topology"
)

// This file says who may do what. Subjects between stamps are those of package
// bridge, which this one does not import: rw.v1.<kind>.<to>.<from>.<rest>.

// Roles of the signing keys of account FED.
const (
	RoleLink   = "link"   // a stamp's leafnode to a hub
	RoleBridge = "bridge" // a stamp's bridge, in its own process
)

// The pair of permissions that holds a stamp to its name (I6), whatever else
// is connected to FED: it publishes as itself and hears what is for itself.
const (
	asMyself  = "rw.v1.*.*.{{name()}}.>"
	forMyself = "rw.v1.*.{{name()}}.>"
)

const (
	inbox         = "_INBOX.>"
	everything    = ">"
	keptnSubjects = "sh.keptn.>"
	capturePrefix = "cap."
	storePrefix   = "put."
)

// grant is what a user may do. Empty is nothing at all.
type grant struct {
	types    []string // of connections
	pub, sub []string
	denyPub  []string
}

// linkUser is for the leafnode between a local server and a hub. Nothing else of
// FED crosses, above all not JetStream's API.
func linkUser() grant {
	return grant{
		types: []string{jwt.ConnectionTypeLeafnode, jwt.ConnectionTypeLeafnodeWS},
		pub:   []string{asMyself},
		sub:   []string{forMyself},
	}
}

// bridgeUser is for the bridge in FED: the same, and the stamp's own JetStream,
// which holds RW_IN. It hears who looks for micro services, of which it is one;
// such questions stay in the stamp.
func bridgeUser() grant {
	return grant{
		types: []string{jwt.ConnectionTypeInProcess},
		pub:   []string{asMyself, "$JS.API.>", "$JS.ACK.>", inbox},
		sub:   []string{forMyself, "$SRV.>", inbox},
	}
}

// relayUser is for the bridge in RELAY: streams RW_OUT, RW_HOLD, RW_STATE,
// RW_TASK, RW_DLQ, RW_LEAD, RW_TAKE, RW_OPEN, RW_POST, RW_PULL and RW_LOG, bucket
// RW_PLANES, and the live subjects of the stamp's clients. A
// letter that is sent again is put back under the capture prefix. What is
// captured by one replica of several is stored under the store prefix.
func relayUser() grant {
	return grant{
		types: []string{jwt.ConnectionTypeInProcess},
		pub:   []string{capturePrefix + ">", storePrefix + ">", "hold.>", "state.>", "task.>", "dlq.>", "lead.>", "take.>", "open.>", "post.>", "pull.>", "planes.>", "log.>", "$KV.RW_PLANES.>", "$JS.API.>", "$JS.ACK.>", inbox},
		sub:   []string{capturePrefix + ">", "lead.>", "planes.>", inbox},
	}
}

// deliverUser is for the bridge in DELIVER. It publishes what clients are to get,
// on whatever subject the topology names, and hears nothing.
func deliverUser() grant {
	return grant{
		types:   []string{jwt.ConnectionTypeInProcess},
		pub:     []string{everything},
		denyPub: []string{"$SYS.>", "$JS.>", inbox},
	}
}

// clientUser is for whoever connects to the stamp's NATS without credentials:
// Keptn's programs and integrations, by plain NATS only. A sentinel without
// connection types would let anonymous leafnodes in.
func clientUser(v *topology.View) grant {
	subjects := []string{keptnSubjects, inbox}
	for _, r := range v.Routes {
		s := string(r.Subject)
		if (slices.Contains(r.From, v.Me.ID) || slices.Contains(r.To, v.Me.ID)) && !slices.Contains(subjects, s) {
			subjects = append(subjects, s)
		}
	}
	g := grant{types: []string{jwt.ConnectionTypeStandard}, pub: subjects, sub: subjects}
	if v.Me.Control {
		g.pub = slices.Concat(subjects, keptnStream())
	}
	return g
}

// keptnStream is what shipyard-controller asks of JetStream: stream keptn on
// sh.keptn.>, which it makes and updates, and its durable pull consumer. It
// may not delete or purge the stream.
func keptnStream() []string {
	return []string{
		"$JS.API.INFO",
		"$JS.API.STREAM.NAMES",
		"$JS.API.STREAM.INFO.keptn",
		"$JS.API.STREAM.CREATE.keptn",
		"$JS.API.STREAM.UPDATE.keptn",
		"$JS.API.STREAM.MSG.GET.keptn",
		"$JS.API.DIRECT.GET.keptn",
		"$JS.API.DIRECT.GET.keptn.>",
		"$JS.API.CONSUMER.NAMES.keptn",
		"$JS.API.CONSUMER.LIST.keptn",
		"$JS.API.CONSUMER.CREATE.keptn",
		"$JS.API.CONSUMER.CREATE.keptn.>",
		"$JS.API.CONSUMER.DURABLE.CREATE.keptn.*",
		"$JS.API.CONSUMER.INFO.keptn.*",
		"$JS.API.CONSUMER.DELETE.keptn.*",
		"$JS.API.CONSUMER.MSG.NEXT.keptn.*",
		"$JS.ACK.keptn.>",
	}
}

// limits returns g as a JWT says it.
func (g grant) limits() jwt.UserPermissionLimits {
	l := jwt.NewUserScope().Template
	l.UserLimits = jwt.UserLimits{Src: jwt.CIDRList{}}
	l.AllowedConnectionTypes = g.types
	l.Pub.Allow.Add(g.pub...)
	l.Pub.Deny.Add(g.denyPub...)
	l.Sub.Allow.Add(g.sub...)
	// An empty list of what is allowed would allow everything.
	if len(g.pub) == 0 {
		l.Pub.Deny.Add(everything)
	}
	if len(g.sub) == 0 {
		l.Sub.Deny.Add(everything)
	}
	return l
}
