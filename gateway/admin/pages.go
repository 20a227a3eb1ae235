package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Pages serves one handler on an address of its own. It is a run.Component.
type Pages struct {
	ln      net.Listener
	handler http.Handler
}

// NewPages binds the address, so that it is known before Run.
func NewPages(listen string, h http.Handler) (*Pages, error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", listen, err)
	}
	return &Pages{ln: ln, handler: h}, nil
}

// Addr returns the bound address, as host:port.
func (p *Pages) Addr() string { return p.ln.Addr().String() }

// Close frees the address of Pages that were never run.
func (p *Pages) Close() error { return p.ln.Close() }

// Run serves until ctx is cancelled. Requests that outlast two seconds more
// are cut.
func (p *Pages) Run(ctx context.Context, ready func()) error {
	srv := &http.Server{
		Handler:           p.handler,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close() // cuts what is left
		}
	})
	ready()
	err := srv.Serve(p.ln)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve %s: %w", p.Addr(), err)
	}
	<-stopped
	return nil
}
