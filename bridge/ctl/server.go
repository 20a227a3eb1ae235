package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// Service is the name of the micro service.
const Service = "ringway"

const (
	// group is the queue group of the gateways of a stamp: any one answers.
	group = "ctl"
	// maxAsking bounds the questions that are being answered.
	maxAsking = 16
)

// The codes of refusals, as HTTP has them.
const (
	codeForbidden = "403"
	codeFailed    = "500"
	codeBusy      = "503"
)

// ServerConfig is what a Server needs. All fields are required.
type ServerConfig struct {
	Me      topology.StampID
	Fed     *nats.Conn        // account FED
	Version string            // of this program; one that is not semantic is shown as 0.0.0
	About   map[string]string // of this gateway, for those who list services
	// May says whether somebody may ask something; the error tells why not. It
	// is a stamp, or a watcher.
	May func(from topology.StampID, what string) error
	// Answers holds what answers each question, by bridge.ShowStatus and the
	// like. What is returned is sent as JSON. It is called from many
	// goroutines at once.
	Answers map[string]func(ctx context.Context) (any, error)
	// Queries is the same of questions with a body, which are answered by who asks.
	Queries map[string]func(ctx context.Context, from topology.StampID, body []byte) (any, error)
	Log     *slog.Logger
}

// A Server answers the questions of other stamps.
type Server struct {
	cfg   ServerConfig
	wg    sync.WaitGroup
	slots chan struct{}
}

// NewServer checks cfg and returns a Server that does nothing until Run.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Me == "" || cfg.Fed == nil || cfg.May == nil || len(cfg.Answers) == 0 || cfg.Log == nil {
		return nil, errors.New("ctl: incomplete configuration")
	}
	return &Server{cfg: cfg, slots: make(chan struct{}, maxAsking)}, nil
}

// Run answers until ctx is cancelled. It may be called again after it has
// returned.
func (s *Server) Run(ctx context.Context, ready func()) error {
	service, err := micro.AddService(s.cfg.Fed, micro.Config{
		Name: Service, Version: semantic(s.cfg.Version), QueueGroup: group, Metadata: s.cfg.About,
		Description: "gateway of stamp " + string(s.cfg.Me),
	})
	if err != nil {
		return fmt.Errorf("offer control service: %w", err)
	}
	defer s.wg.Wait()
	defer func() { _ = service.Stop() }() // the connection may be closed already
	for what, answer := range s.cfg.Answers {
		err := s.offer(ctx, service, what, func(ctx context.Context, _ topology.StampID, _ []byte) (any, error) { return answer(ctx) })
		if err != nil {
			return err
		}
	}
	for what, answer := range s.cfg.Queries {
		if err := s.offer(ctx, service, what, answer); err != nil {
			return err
		}
	}
	ready()
	<-ctx.Done()
	return nil
}

// A query answers a question.
type query = func(ctx context.Context, from topology.StampID, body []byte) (any, error)

// offer adds the endpoint of a question.
func (s *Server) offer(ctx context.Context, service micro.Service, what string, answer query) error {
	err := service.AddEndpoint(strings.ReplaceAll(strings.TrimPrefix(what, "show."), ".", "-"),
		micro.HandlerFunc(func(r micro.Request) { s.asked(ctx, r, what, answer) }),
		micro.WithEndpointSubject(bridge.CtlSubject(s.cfg.Me, "*", what)))
	if err != nil {
		return fmt.Errorf("offer control service: %w", err)
	}
	return nil
}

// asked answers apart from the subscription: some answers take seconds.
func (s *Server) asked(ctx context.Context, r micro.Request, what string, answer query) {
	_, from, _, ok := bridge.Address(r.Subject())
	reply := r.Reply()
	if !ok || !strings.HasPrefix(reply, bridge.ShowReplies(from, s.cfg.Me)) || ctx.Err() != nil {
		return
	}
	if err := s.cfg.May(from, what); err != nil {
		s.refuse(from, reply, codeForbidden, err)
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.refuse(from, reply, codeBusy, errors.New("too many questions at once"))
		return
	}
	body := r.Data()
	s.wg.Go(func() {
		defer func() { <-s.slots }()
		v, err := answer(ctx, from, body)
		var b []byte
		if err == nil {
			b, err = json.Marshal(v)
		}
		if err != nil {
			code := codeFailed
			if errors.Is(err, ErrRefused) {
				code, err = codeForbidden, unwrapRefusal(err)
			}
			s.refuse(from, reply, code, err)
			return
		}
		s.publish(from, &nats.Msg{Subject: reply, Data: b})
	})
}

// unwrapRefusal returns a refusal without the word for it, which the one who asked adds.
func unwrapRefusal(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), ErrRefused.Error()+": "))
}

// refuse says no in the way of micro services.
func (s *Server) refuse(to topology.StampID, reply, code string, why error) {
	s.publish(to, &nats.Msg{Subject: reply, Header: nats.Header{
		micro.ErrorHeader: {why.Error()}, micro.ErrorCodeHeader: {code},
	}})
}

func (s *Server) publish(to topology.StampID, m *nats.Msg) {
	if err := s.cfg.Fed.PublishMsg(m); err != nil {
		s.cfg.Log.Warn("question not answered", "peer", to, "err", err)
	}
}

var semver = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)$`)

// semantic returns the version as micro services have to write it.
func semantic(v string) string {
	if m := semver.FindStringSubmatch(v); m != nil {
		return m[1]
	}
	return "0.0.0"
}
