package archtest_test

// imports says which of our packages the code of each of our packages may
// import. It is the architecture: docs/architecture.md draws it, and a change
// here is a change of design. Go itself keeps it free of cycles.
//
// A row for a package that does not exist fails, so the table cannot go stale.
var imports = map[string][]string{
	// What a federation is. Pure: no network, no NATS, no clock, no log.
	"topology":        {"internal/yamlfile"},
	"topology/schema": {"topology"},

	// Who may do what, and the tokens that prove it. Pure: time and randomness
	// come in as arguments.
	"auth":          {"topology"},
	"auth/keystore": {"auth", "topology"},

	// What an event is and where it goes. Pure. The mechanisms below it know
	// the vocabulary and nothing of each other.
	"bridge":            {"topology"},
	"bridge/outbox":     {"bridge", "internal/crash", "internal/jstream", "topology"},
	"bridge/inbox":      {"bridge", "internal/crash", "internal/jstream", "topology"},
	"bridge/deadletter": {"bridge", "internal/jstream", "topology"},
	"bridge/live":       {"bridge", "topology"},
	"bridge/task":       {"bridge", "internal/jstream", "topology"},
	"bridge/lead":       {"internal/jstream"},
	"bridge/hold":       {"bridge", "internal/jstream", "topology"},
	"bridge/catch":      {"bridge", "topology"},
	"bridge/canary":     {"bridge", "topology"},
	"bridge/ctl":        {"bridge", "topology"},
	"bridge/tunnel":     {"bridge", "topology"},
	"bridge/takeover":   {"bridge", "internal/jstream"},
	"bridge/journal":    {"bridge", "topology"},
	"bridge/call":       {"topology"},
	"bridge/plane":      {"bridge", "bridge/call", "internal/jstream", "topology"},
	"bridge/poll":       {"bridge", "bridge/call", "internal/jstream", "topology"},
	"bridge/trace":      {"bridge", "topology"},
	"bridge/pull":       {"bridge", "internal/jstream", "topology"},

	// The process: the only place where things meet.
	"gateway/node":    {"auth", "topology"},
	"gateway/admin":   {"bridge/deadletter"},
	"gateway/console": {},
	"gateway/face":    {"bridge/call", "bridge/tunnel", "topology"},
	"gateway/otlp":    {"bridge/trace"},
	"gateway": {
		"auth", "auth/keystore",
		"bridge", "bridge/call", "bridge/canary", "bridge/catch", "bridge/ctl", "bridge/deadletter", "bridge/hold", "bridge/inbox", "bridge/journal", "bridge/lead", "bridge/live", "bridge/outbox",
		"bridge/plane", "bridge/poll", "bridge/pull", "bridge/takeover", "bridge/task", "bridge/trace", "bridge/tunnel",
		"gateway/admin", "gateway/console", "gateway/face", "gateway/node", "gateway/otlp",
		"internal/redact", "internal/run",
		"topology",
	},

	// Leaves: small things that belong to no area.
	"internal/archtest": {},
	"internal/crash":    {},
	"internal/health":   {},
	"internal/jstream":  {},
	"internal/natstest": {},
	"internal/redact":   {},
	"internal/run":      {},
	"internal/yamlfile": {},
	// The demonstration is a NATS client like any other and knows nothing of us.
	"internal/demo": {},

	// Every stamp of a topology in one process, as `up` and the tests run it.
	"internal/federation": {"auth/keystore", "gateway", "topology"},

	// The verbs are thin: load, call, print.
	"cmd/ringway": {
		"auth", "auth/keystore", "bridge", "bridge/canary", "bridge/ctl", "bridge/deadletter", "bridge/journal", "bridge/plane", "gateway",
		"internal/demo", "internal/federation", "internal/redact", "internal/yamlfile",
		"topology", "topology/schema",
	},

	// A federation in a test, and what is shown with it.
	"test/fed":      {"gateway", "internal/federation", "internal/natstest", "topology"},
	"test/keptn":    {},
	"test/e2e":      {"test/fed"},
	"test/bench":    {},
	"test/chaos":    {},
	"test/contrast": {},
	"test/load":     {},
	"test/readme":   {},
}

// inTests says what the tests of a package may import beyond the package
// itself, what its code may import, and internal/natstest, which all may.
var inTests = map[string][]string{
	"topology/schema": {"internal/yamlfile"},
	"gateway":         {"internal/demo", "internal/federation", "test/fed", "test/keptn"},
	"bridge/pull":     {"test/keptn"},
	"gateway/console": {"bridge/inbox", "bridge/plane", "gateway"},
	"cmd/ringway":     {"test/fed"},
	"auth":            {"auth/keystore"},
	"test/bench":      {"bridge", "gateway", "internal/federation", "topology"},
	"test/chaos":      {"auth/keystore", "bridge", "gateway", "internal/crash", "test/fed", "topology"},
	"test/keptn":      {"gateway", "test/fed", "topology"},
	"test/load":       {"gateway", "internal/federation", "topology"},
	"test/e2e":        {"auth", "auth/keystore", "bridge/inbox", "bridge/journal", "bridge/takeover", "bridge/tunnel", "bridge", "gateway", "internal/demo", "test/keptn", "topology"},
}

// An outsider is a package that is not ours and that only some of ours may
// import. A path stands for everything below it; so does a name in by.
type outsider struct {
	path  string
	by    []string // our packages that may
	tests bool     // any _test.go file may as well
	why   string
}

var outsiders = []outsider{
	{
		"github.com/nats-io/nats-server/v2",
		[]string{"gateway/node", "internal/natstest"},
		true,
		"one package runs servers; the others see connections",
	},
	{
		"github.com/nats-io/nats.go",
		[]string{
			"bridge/canary", "bridge/catch", "bridge/ctl", "bridge/deadletter", "bridge/hold", "bridge/inbox", "bridge/journal", "bridge/lead", "bridge/live", "bridge/outbox", "bridge/plane", "bridge/poll", "bridge/pull", "bridge/takeover", "bridge/task", "bridge/tunnel",
			"gateway", "internal/demo", "internal/jstream", "internal/natstest", "test",
		},
		true,
		"vocabulary is pure; only mechanisms talk to NATS",
	},
	{
		"github.com/nats-io/jwt/v2",
		[]string{"auth", "gateway/node"},
		true,
		"identity is decided in auth",
	},
	{
		"github.com/nats-io/nkeys",
		[]string{"auth", "gateway/node"},
		true,
		"identity is decided in auth",
	},
	{
		"go.yaml.in/yaml",
		[]string{"internal/yamlfile"},
		false,
		"every YAML error carries file, line and column, which one package sees to",
	},
	{
		"net/http",
		[]string{"bridge/call", "bridge/plane", "bridge/poll", "bridge/pull", "bridge/tunnel", "gateway", "cmd", "test"},
		true,
		"HTTP is spoken at the edge, and by what carries it",
	},
	{
		"github.com/prometheus",
		[]string{
			"gateway", "test/fed",
			"bridge/canary", "bridge/catch", "bridge/deadletter", "bridge/hold", "bridge/inbox", "bridge/live", "bridge/outbox", "bridge/plane", "bridge/poll", "bridge/pull", "bridge/takeover", "bridge/task", "bridge/tunnel",
		},
		true,
		"metrics are a struct per mechanism; gateway holds the registry",
	},
	{
		"github.com/expr-lang/expr",
		[]string{"topology"},
		false,
		"expressions are compiled and bounded where the topology is compiled",
	},
	{
		"github.com/invopop/jsonschema",
		[]string{"topology/schema"},
		false,
		"the schema is made from the types in one place",
	},
	{
		"github.com/spf13",
		[]string{"cmd"},
		false,
		"verbs and flags belong to the command",
	},
	{
		"github.com/cloudevents/sdk-go/v2",
		[]string{"bridge/task", "internal/demo", "cmd", "test"},
		true,
		"the SDK decodes whole events; the hot path reads four keys",
	},
	{
		"go.opentelemetry.io",
		[]string{"gateway/otlp"},
		true,
		"spans are ours; one package knows how they are sent",
	},
	{
		"google.golang.org/protobuf",
		[]string{"gateway/otlp"},
		true,
		"one package sends protobuf",
	},
	{
		"github.com/fsnotify/fsnotify",
		[]string{"gateway"},
		false,
		"the process watches its topology file; nothing else watches",
	},
	{"github.com/stretchr/testify", []string{"internal/natstest", "test"}, true, "a library for tests"},
	{"github.com/rogpeppe/go-internal", []string{"test"}, true, "a library for tests"},
	{"github.com/Shopify/toxiproxy", []string{"test"}, true, "a library for tests"},
}

// pure lists the packages that touch nothing outside: what they return depends
// on their arguments alone.
var pure = []string{"topology", "topology/schema", "auth", "bridge", "internal/yamlfile", "internal/backoff"}

// impure lists what the code of a pure package does not import.
var impure = []string{"crypto/rand", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "syscall"}

// clock lists what the code of a pure package does not call.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// mayInit lists the files that do something on import, each for a reason that
// its comment gives.
var mayInit = []string{"gateway/node/timings.go"}

// top lists what may lie in the root folder; names with a dot in front may as
// well.
var top = []string{
	"cmd", "gateway", "auth", "topology", "bridge", "charts", "test", "examples", "docs", "internal", "tools",
	"go.mod", "go.sum", "Makefile", "Dockerfile", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
}

// The sizes that fit a reader's head and screen.
const (
	maxFile = 400 // lines
	maxFunc = 80  // lines
)

// stammer lists how an error does not begin: that it is an error is known.
var stammer = []string{"failed", "could not", "couldn't", "cannot", "can't", "unable", "error"}
