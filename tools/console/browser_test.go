package console

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience is how long anything is waited for.
const patience = 40 * time.Second

// A tab is a page of a real Chromium, and what it complained of.
type tab struct {
	t     *testing.T
	ctx   context.Context
	close func() // it has six connections with the other tabs, of which it holds one

	mu    sync.Mutex
	wrong []string
}

// browser starts Chromium once for all tests of t.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := "/usr/bin/chromium"
	if p := os.Getenv("CHROMIUM"); p != "" {
		path = p
	}
	_, err := os.Stat(path)
	require.NoError(t, err, "make console installs Chromium; CHROMIUM=path names another")
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() { cancel(); stop() })
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

// newTab opens one. At the end of the test it must have had nothing to complain
// of: no error on the console, nothing that the policy of the page forbids.
func newTab(in context.Context, t *testing.T, width, height int64, dark bool) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(in)
	p := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, height)))
	require.NoError(t, chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *log.EventEntryAdded:
			p.complain(string(e.Entry.Level) + ": " + e.Entry.Text + " " + e.Entry.URL)
		case *runtime.EventConsoleAPICalled:
			p.complain("console." + string(e.Type))
		case *runtime.EventExceptionThrown:
			p.complain("exception: " + e.ExceptionDetails.Text)
		}
	}))
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
	p.close = cancel
	t.Cleanup(func() {
		p.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		require.Empty(t, p.wrong, "the page complains")
	})
	return p
}

func (p *tab) complain(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !strings.Contains(text, networkChanged) {
		p.wrong = append(p.wrong, text)
	}
}

// complaints returns and forgets what the page complained of.
func (p *tab) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.wrong
	p.wrong = nil
	return was
}

func (p *tab) open(url string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Navigate(url))
	for err != nil && strings.Contains(err.Error(), networkChanged) {
		err = chromedp.Do(ctx, chromedp.Navigate(url))
	}
	require.NoError(p.t, err)
}

// networkChanged is what Chromium says where somebody else on the machine adds a
// network interface.
const networkChanged = "ERR_NETWORK_CHANGED"

// noScripts switches scripts off.
func (p *tab) noScripts() {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(p.t, err)
}

// press presses keys, one after the other.
func (p *tab) press(keys string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.KeyEvent(keys)))
}

// eval returns the value of an expression in p.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(p.t, err, expression)
	return v
}

// until waits for an expression to be true.
func (p *tab) until(expression, why string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		v, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](expression))
		return err == nil && v
	}, patience, 50*time.Millisecond, "%s: %s", why, expression)
}

// shot writes what p shows, if pictures are wanted: for the documents what the
// window shows, with SHOTS the whole page.
func (p *tab) shot(name string) {
	p.t.Helper()
	dir, take := os.Getenv("SHOTS"), chromedp.FullScreenshot(100)
	if dir == "" && os.Getenv("UPDATE") != "" {
		dir, take = "../../docs/console", chromedp.CaptureScreenshot()
	}
	if dir == "" {
		return
	}
	require.NoError(p.t, os.MkdirAll(dir, 0o755))
	b, err := chromedp.Run(p.ctx, take)
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(dir+"/"+name+".png", b, 0o644))
	if os.Getenv("SHOTS") == "" {
		require.Less(p.t, len(b), 150<<10, "a picture of the documents is small: %s", name)
	}
}
