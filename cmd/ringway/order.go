package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

// orderFlags are the flags of verbs that give orders.
type orderFlags struct {
	from           source
	output, reason string
}

func (f *orderFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	f.from.add(fs)
	fs.Lookup("creds").Usage = "credentials of who gives the order, as 'ringway auth operator' makes them"
	outputFlag(cmd, &f.output, outputTable, outputJSON, outputYAML)
	fs.StringVar(&f.reason, "reason", "", "why, for those who see it later")
}

func (f *orderFlags) check() error {
	if f.from.creds == "" {
		return usageError{errors.New("an order needs --creds, as 'ringway auth operator' makes them")}
	}
	return f.from.check()
}

// order signs an order, has it passed on and returns what came of it.
func (s *source) order(ctx context.Context, o bridge.Order) (*gateway.OrderReport, error) {
	o.ID, o.At = rand.Text(), time.Now().UTC()
	text, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("write order: %w", err)
	}
	file, err := os.ReadFile(s.creds)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	signed, err := auth.SignOrder(file, text)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(signed)
	if err != nil {
		return nil, fmt.Errorf("write order: %w", err)
	}
	is := &gateway.OrderReport{}
	if s.server == "" {
		return is, s.admin.send(ctx, http.MethodPost, "/orders", body, is)
	}
	return is, s.tell(ctx, bridge.OrderPass, body, is)
}

// give has an order carried out and prints what came of it. It fails if a stamp
// did not do it.
func (f *orderFlags) give(ctx context.Context, w io.Writer, o bridge.Order) error {
	o.Reason = f.reason
	is, err := f.from.order(ctx, o)
	if err != nil {
		return err
	}
	if err := show(w, f.output, "", is, func(w io.Writer) error { return printOrder(w, is) }); err != nil {
		return err
	}
	n := 0
	for _, a := range is.Answers {
		if a.Done == nil {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d of %s did not carry out the order, as far as is known: give it again, stamps that have do nothing then", n, stampCount(len(is.Answers)))
	}
	return nil
}

func printOrder(w io.Writer, is *gateway.OrderReport) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "STAMP\tRESULT") // Flush reports errors
	for _, a := range is.Answers {
		result := "× " + a.Err
		if a.Done != nil {
			result = a.Done.Result
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\n", a.Stamp, result)
	}
	return t.Flush()
}

// federation asks for all stamps.
func (s *source) federation(ctx context.Context) (*gateway.Federation, error) {
	is := &gateway.Federation{}
	return is, s.ask(ctx, askFederation, is)
}

// oneStamp checks that a stamp is in the federation, so that one which is not is
// not taken for one that does not answer.
func (s *source) oneStamp(ctx context.Context, name string) (topology.StampID, error) {
	is, err := s.federation(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range is.Stamps {
		if string(r.Stamp) == name {
			return r.Stamp, nil
		}
	}
	return "", fmt.Errorf("federation %s has no stamp %q: see ringway status -o name", is.Name, name)
}

// ring returns the stamps of a ring, in one geo if that is not empty.
func (s *source) ring(ctx context.Context, ring, geo string) ([]topology.StampID, error) {
	is, err := s.federation(ctx)
	if err != nil {
		return nil, err
	}
	var out []topology.StampID
	for _, r := range is.Stamps {
		if string(r.Ring) == ring && (geo == "" || string(r.Geo) == geo) {
			out = append(out, r.Stamp)
		}
	}
	if len(out) == 0 {
		where := ""
		if geo != "" {
			where = " of geo " + geo
		}
		return nil, fmt.Errorf("federation %s has no stamp of ring %q%s: see ringway status", is.Name, ring, where)
	}
	return out, nil
}
