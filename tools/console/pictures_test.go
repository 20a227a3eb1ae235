package console

import (
	"os"
	"testing"
)

// A picture is of a page.
type picture struct {
	name, path    string
	width, height int64
	dark          bool
}

// The pictures of docs/console.md, of the 23 stamps of examples/outsystems, one
// of which is cut off, and of 300 made ones. UPDATE=1 rewrites them; SHOTS=folder
// writes whole pages there.
func TestPictures(t *testing.T) {
	if os.Getenv("UPDATE") == "" && os.Getenv("SHOTS") == "" {
		t.Skip("UPDATE=1 rewrites the pictures of docs/console.md")
	}
	in := browser(t)
	p := newTab(in, t, 1100, 640, false)
	p.open(made(t, 300))
	p.until(isLive, "the page is told what changes")
	if os.Getenv("SHOTS") == "" {
		eval[any](p, `document.querySelector(".cols").scrollIntoView()`)
	}
	p.shot("large")

	url, _ := up(t, "-f", "../../examples/outsystems/topology.yaml", "--rate", "8", "--cut", "apac-test-1", "--cut-for", "10m")
	pages := []picture{
		{"map", "", 1280, 860, false},
		{"map-dark", "", 1280, 860, true},
		{"map-narrow", "", 360, 760, false},
		{"stamp", "stamp/emea-hub", 1280, 860, false},
		{"stamp-down", "stamp/apac-test-1", 1280, 700, true},
		{"stamp-narrow", "stamp/emea-hub", 360, 760, true},
		{"rates", "rates", 1280, 700, false},
	}
	p = newTab(in, t, 1280, 800, false)
	p.open(url)
	p.until(`document.querySelector("#stamp-apac-test-1 .word").textContent === "DOWN"`, "the cut is seen")
	p.until(`/[1-9]/.test(document.querySelector(".spark b").textContent)`, "there are figures")
	_, keptn := event(t, url, "held")
	for _, is := range append(pages, picture{"event", "event?id=" + keptn, 1280, 860, false}) {
		p := newTab(in, t, is.width, is.height, is.dark)
		p.open(url + is.path)
		if is.name != "event" {
			p.until(isLive, "the page is told what changes")
		}
		noScroll(p)
		contrast(p)
		p.shot(is.name)
		p.close()
	}
}
