package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/ctl"
)

// A source is where a gateway is asked how everything is: its admin face, or the
// NATS of its stamp.
type source struct {
	admin         adminClient
	server, creds string
	ca, cert, key string
}

func (s *source) add(fs *pflag.FlagSet) {
	fs.StringVar(&s.admin.base, "admin", "http://127.0.0.1:9222", "admin address of a stamp's gateway")
	fs.StringVar(&s.server, "server", "", "URL of a stamp's NATS, to ask there instead of --admin")
	fs.StringVar(&s.creds, "creds", "", "credentials for --server, as 'ringway auth watcher' makes them")
	fs.StringVar(&s.ca, "ca", "", "whom to trust at --server, PEM; empty is whom the system trusts")
	fs.StringVar(&s.cert, "cert", "", "certificate for --server, PEM, if it asks for one")
	fs.StringVar(&s.key, "key", "", "its key, PEM")
}

func (s *source) check() error {
	if s.server != "" && s.creds == "" {
		return usageError{errors.New("--server and --creds belong together")}
	}
	if (s.cert == "") != (s.key == "") {
		return usageError{errors.New("--cert and --key belong together")}
	}
	return nil
}

// The questions, as HTTP and NATS call them.
var (
	askFederation  = [2]string{"/federation", bridge.ShowFederation}
	askExam        = [2]string{"/doctor", bridge.ShowChecks}
	askExamination = [2]string{"/doctor?all", bridge.ShowExamination}
)

// ask puts a question and reads the answer into out.
func (s *source) ask(ctx context.Context, what [2]string, out any) error {
	return s.query(ctx, what, nil, out)
}

// query is ask of a question that has a body over NATS.
func (s *source) query(ctx context.Context, what [2]string, body, out any) error {
	if s.server == "" {
		return s.admin.call(ctx, http.MethodGet, what[0], out)
	}
	var question []byte
	if body != nil {
		var err error
		if question, err = json.Marshal(body); err != nil {
			return fmt.Errorf("ask gateway: %w", err)
		}
	}
	return s.tell(ctx, what[1], question, out)
}

// tell puts a question with a body to a stamp's NATS.
func (s *source) tell(ctx context.Context, what string, question []byte, out any) error {
	file, err := os.ReadFile(s.creds)
	if err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	name, err := auth.UserName(file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	b, err := ctl.Watcher{
		Name: name, Inbox: auth.WatcherInbox(name), File: s.creds, CA: s.ca, Cert: s.cert, Key: s.key,
	}.Query(ctx, s.server, what, question)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
