package console

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// isLive holds once a page is told what changes.
const isLive = `document.getElementById("liveness").textContent.includes("● live")`

// A map of 300 stamps, in both schemes, narrow and wide.
func TestManyStamps(t *testing.T) {
	in := browser(t)
	url := made(t, 300)
	for _, dark := range []bool{false, true} {
		for _, width := range []int64{1280, 360} {
			p := newTab(in, t, width, 900, dark)
			p.open(url)
			p.until(isLive, "the page is told what changes")
			require.Equal(t, 300, eval[int](p, `document.querySelectorAll("#grid .stamp").length`))
			noScroll(p)
			contrast(p)
			p.close()
		}
	}
}

// The filter shows what it is asked for, as one types and without scripts.
func TestFilter(t *testing.T) {
	in := browser(t)
	url := made(t, 300)
	const shown = `[...document.querySelectorAll("#grid .stamp")].filter((a) => a.checkVisibility()).length`
	p := newTab(in, t, 1280, 900, false)
	p.open(url)
	p.until(isLive, "the page is told what changes")
	eval[any](p, `document.getElementById("filter").focus()`)
	p.press("down")
	p.until(shown+" === 4", "only what is down is shown")
	require.Equal(t, "4 of 300", eval[string](p, `document.getElementById("filtered").textContent`))
	p.press("xyz")
	p.until(shown+" === 0 && !document.getElementById('nothing').hidden", "nothing is shown")

	p = newTab(in, t, 360, 900, false)
	p.noScripts()
	p.open(url + "?q=apac+staging")
	require.Equal(t, 12, eval[int](p, shown))
	noScroll(p)
}

// A federation that runs, a stamp of which is cut off while it is looked at.
func TestRunning(t *testing.T) {
	in := browser(t)
	url, stamps := up(t, "--rate", "5", "--cut", "apac-prod", "--cut-for", "25s")
	p := newTab(in, t, 1280, 900, true)
	cutLink(p, url, stamps)
	t.Run("the story of an event", func(t *testing.T) { story(newTab(in, t, 360, 800, true), url) })
	t.Run("keys alone", func(t *testing.T) { keyboard(newTab(in, t, 1280, 900, false), url) })
	t.Run("no scripts", func(t *testing.T) { withoutScripts(newTab(in, t, 360, 800, false), url, stamps) })
	p.until(`document.querySelector("#stamp-apac-prod .word").textContent === "up" &&
		document.getElementById("say").textContent.includes("apac-prod is up")`, "it is seen, and said to screen readers, that the link is back")
}

// cutLink wants what is wrong to be on the map within seconds, and which side.
func cutLink(p *tab, url string, stamps []string) {
	t := p.t
	p.open(url)
	p.until(isLive, "the page is told what changes")
	for _, s := range stamps {
		require.True(t, eval[bool](p, `!!document.querySelector("#stamp-`+s+` a")`), "stamp %s is on the map", s)
	}
	p.until(`document.querySelector("#stamp-apac-prod .word").textContent === "DOWN"`, "the cut is seen")
	require.Contains(t, eval[string](p, `document.querySelector(".trouble.down").textContent`), "apac-prod →")
	require.Regexp(t, `RW-30[12]`, eval[string](p, `document.querySelector(".trouble.down .more a").textContent`))
	noScroll(p)
	contrast(p)
}

// story finds out what became of an event.
func story(p *tab, url string) {
	t := p.t
	id, keptn := event(t, url, "delivered")
	p.open(url + "event")
	require.Equal(t, "find", eval[string](p, `document.querySelector("label").htmlFor`))
	eval[any](p, `document.getElementById("find").focus()`)
	p.press(id + "\r")
	p.until(`document.querySelectorAll(".timeline li").length > 2`, "the steps of the event are shown")
	require.Contains(t, eval[string](p, `document.querySelector("main").textContent`), "published sh.keptn.event.")
	require.Contains(t, eval[string](p, `document.querySelector(".facts").textContent`), keptn)
	noScroll(p)
	contrast(p)
	p.open(url + "event?id=" + keptn)
	require.Greater(t, eval[int](p, `document.querySelectorAll(".list tbody tr").length`), 1, "the whole sequence")
	noScroll(p)
}

// keyboard uses the pages with nothing but keys.
func keyboard(p *tab, url string) {
	t := p.t
	p.open(url)
	p.until(isLive, "the page is told what changes")
	p.press("\t")
	require.Equal(t, "Skip to content", eval[string](p, `document.activeElement.textContent`))
	require.True(t, eval[bool](p, `document.activeElement.getBoundingClientRect().top >= 0`), "it is seen when it has the focus")
	p.press("\r")
	require.Equal(t, "main", eval[string](p, `document.activeElement.id`))
	for range 60 { // to the first stamp of the map
		p.press("\t")
		require.NotEqual(t, "none", eval[string](p, `getComputedStyle(document.activeElement).outlineStyle`), "the focus is seen")
		if eval[bool](p, `document.activeElement.classList.contains("stamp")`) {
			break
		}
	}
	name := eval[string](p, `document.activeElement.querySelector(".name").textContent`)
	p.press("\r")
	p.until(`!!document.querySelector("h1")?.textContent.includes("`+name+`")`, "Enter opens the page of the stamp")
	require.Equal(t, 1, eval[int](p, `document.querySelectorAll("h1").length`))
	p.until(isLive, "the page is told what changes")
	noScroll(p)
	contrast(p)
}

// withoutScripts wants all the figures to be there.
func withoutScripts(p *tab, url string, stamps []string) {
	t := p.t
	p.noScripts()
	p.open(url)
	require.Len(t, stamps, eval[int](p, `document.querySelectorAll("#grid .stamp").length`))
	noScroll(p)
	for _, s := range stamps {
		p.open(url + "stamp/" + s)
		require.Contains(t, eval[string](p, `document.querySelector("h1").textContent`), s)
		noScroll(p)
	}
	p.open(url + "rates")
	require.Contains(t, eval[string](p, `document.querySelector("svg[role=img]").getAttribute("aria-label")`), "Events sent, last ")
	noScroll(p)
	p.open(url + "event?id=nothing")
	require.Contains(t, eval[string](p, `document.querySelector("main").textContent`), "Nothing is known of nothing")
	for _, c := range p.complaints() {
		require.Contains(t, c, "404", "that nothing is known is the only complaint")
	}
}

// Nothing but what this origin serves is loaded, and nothing inline runs.
func TestPolicyHolds(t *testing.T) {
	in := browser(t)
	p := newTab(in, t, 800, 600, false)
	p.open(made(t, 30))
	p.until(isLive, "the page is told what changes")
	require.Empty(t, p.complaints())
	eval[any](p, `(() => { const s = document.createElement("script"); s.textContent = "window.ran = true"; document.body.append(s); })()`)
	require.True(t, eval[bool](p, `window.ran === undefined`))
	eval[any](p, `(() => { const i = document.createElement("img"); i.src = "http://127.0.0.1:9/x.png"; document.body.append(i); })()`)
	require.Eventually(t, func() bool { return len(p.complaints()) > 0 }, patience, 50*time.Millisecond, "Chromium says that the policy forbids it")
}
