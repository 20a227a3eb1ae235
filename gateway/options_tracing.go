package gateway

import "net/url"

// Tracing says where spans of the way of events go. It is off unless Endpoint is
// given.
type Tracing struct {
	// Endpoint is where spans are posted, by OTLP over HTTP, such as
	// https://collector.example:4318/v1/traces. Empty is off.
	Endpoint string `yaml:"endpoint"`
	// HeadersFile holds lines 'name: value' that go with each request, such as a
	// token.
	HeadersFile string `yaml:"headersFile"`
	// CA is a PEM file of who has signed the collector's certificate, if that is
	// none of the system's.
	CA string `yaml:"ca"`
	// Insecure lets spans go by plain http.
	Insecure bool `yaml:"insecure"`
	// Ratio is how many of the traces are recorded, from 0 to 1, where the
	// publisher has not decided. Every stamp chooses the same ones.
	Ratio float64 `yaml:"ratio"`
}

func (o Tracing) check(bad func(key, format string, args ...any)) {
	if o.Ratio < 0 || o.Ratio > 1 {
		bad("tracing.ratio", "%g is not between 0 and 1", o.Ratio)
	}
	if o.Endpoint == "" {
		return
	}
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		bad("tracing.endpoint", "%q is no URL of http or https", o.Endpoint)
	case u.User != nil:
		bad("tracing.endpoint", "has credentials in it: put them into headersFile")
	case u.Scheme == "http" && !o.Insecure:
		bad("tracing.endpoint", "%q is not encrypted: use https, or say insecure", o.Endpoint)
	}
}
