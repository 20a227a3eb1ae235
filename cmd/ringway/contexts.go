package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A place is where gateways are asked, as a context keeps it. A value may be
// env://VARIABLE, or file://PATH for what is in a file.
type place struct {
	Description string `json:"description,omitempty"`
	Server      string `json:"server,omitempty"` // URL of a stamp's NATS
	Creds       string `json:"creds,omitempty"`  // a file, as the three below
	CA          string `json:"ca,omitempty"`
	Cert        string `json:"cert,omitempty"`
	Key         string `json:"key,omitempty"`
	Admin       string `json:"admin,omitempty"` // URL of a gateway's admin face
}

// contexts are the files of contexts, one each, 0600: they name what is worth to
// be stolen.
type contexts struct{ dir string }

var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// configHome returns $XDG_CONFIG_HOME, or what stands for it.
func configHome() (string, error) {
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find configuration: %w", err)
	}
	return filepath.Join(home, ".config"), nil
}

func openContexts() (contexts, error) {
	home, err := configHome()
	return contexts{dir: filepath.Join(home, "ringway")}, err
}

func (c contexts) file(name string) string { return filepath.Join(c.dir, "context", name+".json") }

func (c contexts) selectedFile() string { return filepath.Join(c.dir, "context.txt") }

func checkContextName(name string) error {
	if !contextName.MatchString(name) {
		return usageError{fmt.Errorf("name %q of a context: use letters, digits, dots, dashes and underscores", name)}
	}
	return nil
}

// read returns a context as it is written.
func (c contexts) read(name string) (place, error) {
	var p place
	if err := checkContextName(name); err != nil {
		return p, err
	}
	b, err := os.ReadFile(c.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return p, usageError{fmt.Errorf("no context is called %q: see ringway context list", name)}
	}
	if err != nil {
		return p, fmt.Errorf("read context: %w", err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("read context %s: %w", name, err)
	}
	return p, nil
}

// write keeps a context.
func (c contexts) write(name string, p place) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = c.put(c.file(name), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write context %s: %w", name, err)
	}
	return nil
}

// put replaces a file whole.
func (c contexts) put(file string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone if all went well
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// names lists contexts, sorted.
func (c contexts) names() ([]string, error) {
	files, err := filepath.Glob(c.file("*"))
	if err != nil {
		return nil, fmt.Errorf("list contexts: %w", err)
	}
	out := make([]string, 0, len(files))
	for _, f := range files {
		out = append(out, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	slices.Sort(out)
	return out, nil
}

// selected returns the context that is used if none is named; empty if none is.
func (c contexts) selected() (string, error) {
	b, err := os.ReadFile(c.selectedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read selected context: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (c contexts) setSelected(name string) error {
	if name == "" {
		if err := os.Remove(c.selectedFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("select no context: %w", err)
		}
		return nil
	}
	if err := c.put(c.selectedFile(), []byte(name+"\n")); err != nil {
		return fmt.Errorf("select context: %w", err)
	}
	return nil
}

func (c contexts) remove(name string) error {
	if _, err := c.read(name); err != nil {
		return err
	}
	if is, err := c.selected(); err != nil || is == name {
		if err := errors.Join(err, c.setSelected("")); err != nil {
			return err
		}
	}
	if err := os.Remove(c.file(name)); err != nil {
		return fmt.Errorf("remove context: %w", err)
	}
	return nil
}

// natsContext returns a context of the nats command line. What it can and we
// cannot is refused: a user without credentials may ask nothing.
func natsContext(name string) (place, error) {
	var p place
	if err := checkContextName(name); err != nil {
		return p, err
	}
	home, err := configHome()
	if err != nil {
		return p, err
	}
	b, err := os.ReadFile(filepath.Join(home, "nats", "context", name+".json")) //nolint:gosec // the name is checked
	if errors.Is(err, fs.ErrNotExist) {
		return p, usageError{fmt.Errorf("nats has no context %q: see nats context ls", name)}
	}
	if err != nil {
		return p, fmt.Errorf("read context of nats: %w", err)
	}
	var c struct{ URL, Creds, CA, Cert, Key string }
	if err := json.Unmarshal(b, &c); err != nil {
		return p, fmt.Errorf("read context %s of nats: %w", name, err)
	}
	if c.Creds == "" || c.URL == "" {
		return p, usageError{fmt.Errorf("context %s of nats has no url or no creds: gateways answer those whom 'ringway auth watcher' or 'ringway auth operator' made", name)}
	}
	return place{Server: c.URL, Creds: c.Creds, CA: c.CA, Cert: c.Cert, Key: c.Key}, nil
}

// flags returns the values by the names of flags, as they are meant.
func (p place) flags() (map[string]string, error) {
	out := map[string]string{}
	var errs []error
	for name, v := range map[string]string{"server": p.Server, "admin": p.Admin, "creds": p.Creds, "ca": p.CA, "cert": p.Cert, "key": p.Key} {
		is, err := meant(v, name != "server" && name != "admin")
		if err != nil {
			errs = append(errs, fmt.Errorf("context: %s: %w", name, err))
		}
		if is != "" {
			out[name] = is
		}
	}
	return out, errors.Join(errs...)
}

// meant returns what a value stands for. Of a file that is named the name is
// meant, else what is in it.
func meant(v string, isFile bool) (string, error) {
	if name, ok := strings.CutPrefix(v, "env://"); ok {
		is, ok := os.LookupEnv(name)
		if !ok {
			return "", fmt.Errorf("variable %s is not set", name)
		}
		v = is
	}
	if name, ok := strings.CutPrefix(v, "file://"); ok {
		if isFile {
			v = name
		} else {
			b, err := os.ReadFile(name) //nolint:gosec // named by the user
			if err != nil {
				return "", err
			}
			v = strings.TrimSpace(string(b))
		}
	}
	if rest, ok := strings.CutPrefix(v, "~/"); ok && isFile {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		v = filepath.Join(home, rest)
	}
	return v, nil
}
