package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge/canary"
	"github.com/ringway/ringway/gateway"
)

// probeFlags are the flags of probe.
type probeFlags struct {
	admin, nats, creds, rest string
	peers, output            string
	timeout                  time.Duration
}

func newProbeCommand() *cobra.Command {
	f := &probeFlags{}
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Send an event through, now: NATS of the stamp, store, links, tunnel",
		Long: `Do what a client of the stamp does, and say how far it gets. An event is published
at the stamp's NATS; the gateway has to have stored it; then every stamp that
events are exchanged with is asked, on the way of events, whether it could store
one; and Keptn's API is called through the tunnel by a name of its cluster. This is
what 'helm test' runs.

The event is of type sh.keptn.ringway.canary, which no program of Keptn handles,
and goes to no other stamp.

Exit codes: 0; 1 if the gateway cannot be asked; 2 for a wrong command line; 3 if
something does not get through.`,
		Example: `  ringway probe --nats nats://127.0.0.1:4222 --rest http://127.0.0.1:8080
  ringway probe --nats nats://ringway:4222 --rest off --peers any -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.admin, "admin", "http://127.0.0.1:9222", "admin address of the stamp's gateway; of several replicas all, by one name")
	fs.StringVar(&f.nats, "nats", "nats://127.0.0.1:4222", "NATS of the stamp, as its clients call it")
	fs.StringVar(&f.creds, "nats-creds", "", "credentials for --nats, where a stamp kept a NATS that asks for them")
	fs.StringVar(&f.rest, "rest", "http://127.0.0.1:8080", "HTTP of the gateway, as its clients call it; 'off' for none")
	f.peers = "all"
	fs.Var(choice{&f.peers, []string{"all", "any", "none"}}, "peers", "how many of the other stamps have to be reached")
	outputFlag(cmd, &f.output, outputText, outputJSON, outputYAML)
	fs.DurationVar(&f.timeout, "timeout", time.Minute, "how long all of it may take")
	return cmd
}

// A probeResult is what became of one part of a probe.
type probeResult struct {
	Part   string  `json:"part"` // nats, bridge or tunnel
	To     string  `json:"to"`
	OK     bool    `json:"ok"`
	Needed bool    `json:"needed"` // it fails the probe
	Took   float64 `json:"took,omitempty"`
	Detail string  `json:"detail"`
	See    string  `json:"see,omitempty"`
}

func (f *probeFlags) run(cmd *cobra.Command) error {
	if f.timeout <= 0 {
		return usageError{fmt.Errorf("--timeout %s is not positive", f.timeout)}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	results, err := f.event(ctx)
	if err != nil {
		return err
	}
	if f.rest != "off" {
		results = append(results, f.tunnel(ctx))
	}
	return reportProbe(cmd.OutOrStdout(), results, f.output)
}

// event publishes an event and follows it. An error says that the gateway could
// not be asked.
func (f *probeFlags) event(ctx context.Context) ([]probeResult, error) {
	began := time.Now()
	id, err := canary.Publish(ctx, f.nats, f.creds)
	if err != nil {
		return []probeResult{{Part: "nats", To: f.nats, Needed: true, Detail: err.Error(), See: gateway.See(gateway.CodePort)}}, nil //nolint:nilerr // it is what was found
	}
	published := time.Since(began).Seconds()
	is, asked, err := f.follow(ctx, id)
	if err != nil {
		var refused answerError
		if !errors.As(err, &refused) {
			return nil, err
		}
		return []probeResult{{Part: "nats", To: f.nats, Needed: true, Detail: err.Error(), See: gateway.See(gateway.CodeStore)}}, nil
	}
	out := []probeResult{{
		Part: "nats", To: f.nats, OK: true, Needed: true, Took: published,
		Detail: fmt.Sprintf("published, and stored by the gateway of %s at %s", is.Stamp, asked),
	}}
	return append(out, f.crossed(is)...), nil
}

// crossed returns what became of the way to each stamp.
func (f *probeFlags) crossed(is gateway.Crossing) []probeResult {
	if len(is.Peers) == 0 {
		return []probeResult{{Part: "bridge", To: "-", OK: true, Detail: "the topology has this stamp exchange events with no other"}}
	}
	reached := 0
	var out []probeResult
	for _, p := range is.Peers {
		r := probeResult{Part: "bridge", To: string(p.Stamp), OK: p.Err == "", Needed: f.peers == "all", Took: p.RTT, Detail: "there and back"}
		if r.OK {
			reached++
		} else {
			r.Detail = p.Err
			if len(p.Causes) > 0 {
				r.Detail, r.See = p.Causes[0].String(), gateway.See(p.Causes[0].Code)
			}
		}
		out = append(out, r)
	}
	if f.peers == "any" && reached == 0 {
		for i := range out {
			out[i].Needed = true
		}
	}
	return out
}

// follow asks for the event until the replica that is active tells.
func (f *probeFlags) follow(ctx context.Context, id string) (is gateway.Crossing, at string, err error) {
	all, err := addresses(ctx, f.admin)
	if err != nil {
		return is, "", err
	}
	type answer struct {
		is  gateway.Crossing
		at  string
		err error
	}
	answers := make(chan answer, len(all))
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, base := range all {
		wg.Go(func() {
			a := answer{at: base}
			a.err = (&adminClient{base: base}).call(ctx, http.MethodGet, "/probe/"+id, &a.is)
			answers <- a
		})
	}
	var said answerError
	for range all {
		a := <-answers
		if a.err == nil {
			return a.is, a.at, nil
		}
		// The active one knows best why, and takes longest to say so.
		if err == nil || errors.As(a.err, &said) {
			err = a.err
		}
	}
	return is, "", err
}

// addresses returns a URL for each address behind the host of a URL.
func addresses(ctx context.Context, base string) ([]string, error) {
	if !strings.Contains(base, "://") {
		base = "http://" + base // as gateway.yaml has it
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, usageError{fmt.Errorf("--admin %q is no address", base)}
	}
	if u.Port() == "" || u.Scheme != "http" {
		return []string{base}, nil
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("ask gateway at %s: %w", base, err)
	}
	out := make([]string, 0, len(ips))
	for _, ip := range ips {
		at := *u
		at.Host = net.JoinHostPort(ip, u.Port())
		out = append(out, at.String())
	}
	return out, nil
}

// tunnel calls Keptn's API as an integration in the stamp does.
func (f *probeFlags) tunnel(ctx context.Context) probeResult {
	r := probeResult{Part: "tunnel", To: f.rest, Needed: true, See: gateway.See(gateway.CodeControl)}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(f.rest, "/")+"/v1/project?pageSize=1", nil)
	if err != nil {
		r.Detail = err.Error()
		return r
	}
	req.Host = "shipyard-controller"
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Detail, r.See = fmt.Sprintf("call shipyard-controller through %s: %v", f.rest, err), gateway.See(gateway.CodePort)
		return r
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	r.Took = time.Since(began).Seconds()
	reason := resp.Header.Get("Ringway-Reason")
	switch says := strings.TrimSpace(string(body)); {
	case reason == "no-target":
		return probeResult{Part: "tunnel", To: f.rest, OK: true, Detail: "not tried: the topology names no API of a control plane for this stamp"}
	case reason != "":
		r.Detail = fmt.Sprintf("%d %s: %s", resp.StatusCode, reason, says)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		r.Detail = fmt.Sprintf("Keptn's API answered %d: the gateway of its stamp has no token for it, or a wrong one (controlPlanes in gateway.yaml): %s", resp.StatusCode, says)
	case resp.StatusCode/100 != 2:
		r.Detail = fmt.Sprintf("Keptn's API answered %d: %s", resp.StatusCode, says)
	default:
		r.OK, r.See, r.Detail = true, "", fmt.Sprintf("Keptn's API answered %d", resp.StatusCode)
	}
	return r
}

// reportProbe prints what became of a probe.
func reportProbe(w io.Writer, all []probeResult, output string) error {
	failed := false
	for _, r := range all {
		failed = failed || r.Needed && !r.OK
	}
	if output == "json" {
		if err := printJSON(w, document{"ProbeResult", all}); err != nil {
			return err
		}
	} else if err := printProbe(w, all); err != nil {
		return err
	}
	if failed {
		return exitCode(exitChecks)
	}
	return nil
}

func printProbe(w io.Writer, all []probeResult) error {
	for _, r := range all {
		mark := "√"
		switch {
		case !r.OK && r.Needed:
			mark = "×"
		case !r.OK:
			mark = "‼"
		}
		line := fmt.Sprintf("%s %-6s  %s: %s", mark, r.Part, r.To, r.Detail)
		if r.Took > 0 {
			line += fmt.Sprintf(" (%s)", seconds(r.Took).Round(100*time.Microsecond))
		}
		if r.See != "" {
			line += "  see " + r.See
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
