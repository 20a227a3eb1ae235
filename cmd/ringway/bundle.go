package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/redact"
)

// bundleFlags are the flags of doctor --bundle.
type bundleFlags struct {
	out                   string
	config, topology, log string
}

const (
	// maxLog is how much of the end of a log goes into a bundle, in bytes.
	maxLog = 8 << 20
	// bundleDir is where files are in a bundle.
	bundleDir = "ringway-bundle/"
)

// A bundle is what was found, for somebody elsewhere to look at. All of it goes
// through package redact.
type bundle struct {
	at       time.Time
	files    []bundled
	contents strings.Builder
}

type bundled struct {
	name string
	body []byte
}

func (b *bundle) text(name, what string, body []byte) { b.add(name, what, redact.Text(body)) }

func (b *bundle) json(name, what string, v any) {
	body, err := redact.JSON(v)
	if err != nil {
		b.without(name, err)
		return
	}
	b.add(name, what, body)
}

func (b *bundle) add(name, what string, body []byte) {
	b.files = append(b.files, bundled{name, body})
	_, _ = fmt.Fprintf(&b.contents, "%-16s %s\n", name, what) // a builder takes everything
}

// without notes that something is not there, and why.
func (b *bundle) without(name string, why error) {
	_, _ = fmt.Fprintf(&b.contents, "%-16s not here: %s\n", name, redact.Text([]byte(why.Error()))) // the same
}

// make writes a bundle. That the gateway cannot be asked is no reason not to.
func (f *bundleFlags) make(ctx context.Context, from *source, w io.Writer) error {
	if err := f.collect(ctx, from).write(f.out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "wrote %s; look it through before you send it\n", f.out)
	return err
}

// collect asks for everything that can be had. What cannot be is noted.
func (f *bundleFlags) collect(ctx context.Context, from *source) *bundle {
	b := &bundle{at: time.Now().UTC()}
	is := &gateway.Examination{}
	if err := from.ask(ctx, askExamination, is); err != nil {
		b.without("doctor.json", err)
	} else {
		b.json("doctor.json", "what doctor found in all stamps", is)
	}
	if status, err := from.federation(ctx); err != nil {
		b.without("status.json", err)
	} else {
		b.json("status.json", "how all stamps are, as the asked gateway sees them", status)
	}
	f.collectOwn(ctx, b, from)
	for _, file := range []struct{ name, flag, path string }{
		{"gateway.yaml", "--config", f.config}, {"topology.yaml", "--topology", f.topology}, {"log.txt", "--log", f.log},
	} {
		if file.path == "" {
			if file.name != "topology.yaml" {
				b.without(file.name, errors.New("say where it is: "+file.flag))
			}
			continue
		}
		body, err := tail(file.path, maxLog)
		if err != nil {
			b.without(file.name, err)
			continue
		}
		b.text(file.name, file.path, body)
	}
	b.json("versions.json", "of the program that made this", map[string]string{
		"version": gateway.Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
	})
	return b
}

// collectOwn asks the gateway for what is its own, which it tells at its admin
// face alone.
func (f *bundleFlags) collectOwn(ctx context.Context, b *bundle, from *source) {
	const name = "support.json"
	if from.server != "" {
		b.without(name+", metrics.txt, goroutines.txt", errors.New("a gateway tells them at its admin face: --admin"))
		return
	}
	var s gateway.Support
	if err := from.admin.call(ctx, http.MethodGet, "/support", &s); err != nil {
		b.without(name, err)
	} else {
		b.add("goroutines.txt", "what the gateway's goroutines did", redact.Text([]byte(s.Goroutines)))
		if f.topology == "" {
			b.text("topology.yaml", "in force at the gateway", []byte(s.Topology))
		}
		var options any
		if err := json.Unmarshal([]byte(s.Options), &options); err != nil {
			b.without("options.json", err)
		} else {
			b.json("options.json", "of the gateway, in force", options)
		}
		s.Goroutines, s.Topology, s.Options = "", "", ""
		b.json(name, "version and machine of the gateway", s)
	}
	if metrics, err := from.admin.raw(ctx, http.MethodGet, "/metrics", nil); err != nil {
		b.without("metrics.txt", err)
	} else {
		b.text("metrics.txt", "of the gateway", metrics)
	}
}

// tail returns the end of a file, from the beginning of a line.
func tail(path string, most int64) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // named by the user
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was read
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(max(0, size-most), io.SeekStart)
	}
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(f, most))
	if _, rest, ok := bytes.Cut(body, []byte("\n")); ok && size > most {
		body = rest
	}
	return body, err
}

// write writes the bundle to a file that is not there yet, for its owner alone.
func (b *bundle) write(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // named by the user
	if err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("write bundle: %w", errors.Join(err, os.Remove(path)))
		}
	}()
	z := gzip.NewWriter(f)
	t := tar.NewWriter(z)
	head := "Made by ringway doctor --bundle at " + b.at.Format(time.RFC3339) + ".\n" +
		"Passwords, tokens, keys and bodies of events are taken out as far as they can be told: look it through before you send it.\n\n"
	files := append([]bundled{{"contents.txt", []byte(head + b.contents.String())}}, b.files...)
	for _, x := range files {
		err := t.WriteHeader(&tar.Header{Name: bundleDir + filepath.Base(x.name), Mode: 0o600, Size: int64(len(x.body)), ModTime: b.at, Format: tar.FormatPAX})
		if err == nil {
			_, err = t.Write(x.body)
		}
		if err != nil {
			return err
		}
	}
	return cmp.Or(t.Close(), z.Close())
}
