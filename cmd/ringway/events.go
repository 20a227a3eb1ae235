package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

func newEventsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Look at events and send them on"}
	dlq := &cobra.Command{
		Use:   "dlq",
		Short: "Dead letters: events that were set aside, with the reason",
	}
	from := &source{}
	from.add(dlq.PersistentFlags())
	dlq.AddCommand(newDLQListCommand(from), newDLQShowCommand(from), newDLQReplayCommand(from))
	cmd.AddCommand(dlq, newWhyCommand(), newTailCommand())
	return cmd
}

func newDLQListCommand(from *source) *cobra.Command {
	var output string
	var start uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, oldest first",
		Example: `  ringway events dlq list --admin http://127.0.0.1:9222
  ringway events dlq list -o name | xargs ringway events dlq replay`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := from.letters(cmd.Context(), start, limit)
			if err != nil {
				return err
			}
			return show(cmd.OutOrStdout(), output, "DeadLetter", all, func(w io.Writer) error {
				if output == outputName {
					return namesOf(w, all, func(e *deadletter.Entry) string { return strconv.FormatUint(e.Number, 10) })
				}
				return printLetters(w, all)
			})
		},
	}
	outputFlag(cmd, &output, outputTable, outputJSON, outputYAML, outputName)
	cmd.Flags().Uint64Var(&start, "start", 1, "number of the first letter")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many letters, at most 1000")
	return cmd
}

// letters asks for dead letters. Over NATS they come without the events.
func (s *source) letters(ctx context.Context, start uint64, limit int) (all []*deadletter.Entry, err error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	what := [2]string{fmt.Sprintf("/events/dlq?start=%d&limit=%d", start, limit), bridge.ShowLetters}
	return all, s.query(ctx, what, gateway.LettersQuestion{Start: start, Limit: limit}, &all)
}

// letter asks for one.
func (s *source) letter(ctx context.Context, number uint64) (*deadletter.Entry, error) {
	if s.server == "" {
		e := &deadletter.Entry{}
		return e, s.admin.call(ctx, http.MethodGet, fmt.Sprintf("/events/dlq/%d", number), e)
	}
	all, err := s.letters(ctx, number, 1)
	if err == nil && (len(all) == 0 || all[0].Number != number) {
		err = fmt.Errorf("%w: %d", deadletter.ErrNotFound, number)
	}
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func printLetters(w io.Writer, all []*deadletter.Entry) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no dead letters")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "NUMBER\tAGE\tSIDE\tREASON\tFROM\tSUBJECT\tDETAIL") // Flush reports errors
	for _, e := range all {
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Number, time.Since(e.At).Round(time.Second),
			e.Side, e.Reason, e.From, e.Subject, strings.Join(e.Detail, "; "))
	}
	return t.Flush()
}

func newDLQShowCommand(from *source) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "show NUMBER",
		Short:   "Show one dead letter with its event",
		Example: "  ringway events dlq show 17",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := deadletter.ParseNumber(args[0])
			if err != nil {
				return usageError{err}
			}
			e, err := from.letter(cmd.Context(), number)
			if err != nil {
				return err
			}
			if from.server != "" {
				hint(cmd, "the event itself is shown by --admin alone")
			}
			return show(cmd.OutOrStdout(), output, "DeadLetter", e, func(w io.Writer) error { return printLetter(w, e) })
		},
	}
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	return cmd
}

func printLetter(w io.Writer, e *deadletter.Entry) error {
	_, err := fmt.Fprintf(w, "number    %d\nset aside %s\nside      %s\nreason    %s\nfrom      %s\nto        %s\nsubject   %s\ncaptured  %s\nkey       %s\n",
		e.Number, e.At.Format(time.RFC3339), e.Side, e.Reason, e.From, e.To, e.Subject, e.Captured.Format(time.RFC3339Nano), e.Key)
	for _, d := range e.Detail {
		_, err = fmt.Fprintf(w, "tried     %s\n", d)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "\n%s\n", e.Body)
	}
	return err
}

// replay has dead letters sent on their way again, and returns those that were.
// Over NATS it is an order, signed and written down.
func (s *source) replay(ctx context.Context, numbers []string) ([]string, error) {
	done := []string{}
	if s.server == "" {
		for _, n := range numbers {
			if err := s.admin.call(ctx, http.MethodPost, "/events/dlq/"+n+"/replay", nil); err != nil {
				return done, err
			}
			done = append(done, n)
		}
		return done, nil
	}
	o := bridge.Order{Verb: bridge.VerbReplay}
	for _, text := range numbers {
		n, err := deadletter.ParseNumber(text)
		if err != nil {
			return done, usageError{err}
		}
		o.Letters = append(o.Letters, n)
	}
	all, err := s.federation(ctx)
	if err != nil {
		return done, err
	}
	o.To = []topology.StampID{all.Asked}
	is, err := s.order(ctx, o)
	if err != nil {
		return done, err
	}
	for _, a := range is.Answers {
		if a.Done == nil {
			return done, fmt.Errorf("stamp %s: %s", a.Stamp, a.Err)
		}
		for _, n := range a.Done.Letters {
			done = append(done, strconv.FormatUint(n, 10))
		}
		if a.Done.Err != "" {
			return done, fmt.Errorf("stamp %s: %s", a.Stamp, a.Done.Err)
		}
	}
	return done, nil
}

func newDLQReplayCommand(from *source) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "replay NUMBER...",
		Short: "Send dead letters on their way again",
		Long: `Send dead letters on their way again and remove them. One that was set aside
on its way out is routed anew, by the topology of today; one that had arrived
is delivered to whoever subscribes now. It ends at the first that cannot be
replayed. With --server it is an order, of 50 letters at most: --creds are those
of 'ringway auth operator', and 'ringway stamp history' shows it.`,
		Example: `  ringway events dlq replay 17 18
  ringway events dlq replay 17 --server nats://ringway:4222 --creds anna.creds`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(); err != nil {
				return err
			}
			done, err := from.replay(cmd.Context(), args)
			return errors.Join(err, show(cmd.OutOrStdout(), output, "Replay", map[string][]string{"replayed": done}, func(w io.Writer) error {
				for _, number := range done {
					if _, err := fmt.Fprintf(w, "replayed %s\n", number); err != nil {
						return err
					}
				}
				return nil
			}))
		},
	}
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	return cmd
}

// An adminClient speaks to the admin face of a gateway.
type adminClient struct{ base string }

// call does one request and reads the JSON answer into out, which may be nil.
func (c *adminClient) call(ctx context.Context, method, path string, out any) error {
	return c.send(ctx, method, path, nil, out)
}

// send is call with a body.
func (c *adminClient) send(ctx context.Context, method, path string, content []byte, out any) error {
	body, err := c.raw(ctx, method, path, content)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// raw is send without reading the answer.
func (c *adminClient) raw(ctx context.Context, method, path string, content []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	resp, err := c.put(ctx, method, path, content)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return nil, fmt.Errorf("ask gateway: %w", err)
	}
	return body, nil
}

// open does one request, and returns the answer if it is a good one.
func (c *adminClient) open(ctx context.Context, method, path string) (*http.Response, error) {
	return c.put(ctx, method, path, nil)
}

// put is open with a body.
func (c *adminClient) put(ctx context.Context, method, path string, content []byte) (*http.Response, error) {
	base := strings.TrimSuffix(c.base, "/")
	if !strings.Contains(base, "://") {
		base = "http://" + base // as gateway.yaml has it
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("ask gateway: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask gateway at %s (is it running, and is --admin right?): %w", c.base, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("ask gateway: %w", err)
	}
	var e struct{ Message string }
	if json.Unmarshal(body, &e) != nil || e.Message == "" {
		e.Message = fmt.Sprintf("%.200s", body)
	}
	return nil, answerError{c.base, resp.StatusCode, e.Message}
}

// An answerError is what a gateway says where it does not do what it is asked.
type answerError struct {
	base    string
	code    int
	message string
}

func (e answerError) Error() string {
	return fmt.Sprintf("gateway at %s answered %d: %s", e.base, e.code, e.message)
}
