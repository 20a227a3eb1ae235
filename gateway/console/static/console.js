// Keeps a page up to date, and filters the map as one types. Without it the
// pages show the same, as it was when they were loaded.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);

  // say has a screen reader say something when it has nothing else to say.
  const say = (text) => { $("say").textContent = text; };

  const liveness = (on, text) => {
    const e = $("liveness");
    e.className = "liveness " + (on ? "on" : "off");
    if (e.textContent !== text) e.textContent = text;
  };

  // fill replaces what is in an element and leaves the focus, what is open and
  // what is scrolled where they were.
  const fill = (e, html) => {
    const active = e.contains(document.activeElement) ? document.activeElement : null;
    const href = active && active.getAttribute("href");
    const same = href && [...e.querySelectorAll("a")].filter((a) => a.getAttribute("href") === href).indexOf(active);
    const region = active && !href && [...e.querySelectorAll("[tabindex],summary")].indexOf(active);
    const open = [...e.querySelectorAll("details")].map((d) => d.open);
    const scrolled = [...e.querySelectorAll(".scroll")].map((d) => d.scrollLeft);
    e.innerHTML = html; // made by the gateway, escaped there
    [...e.querySelectorAll("details")].forEach((d, i) => { if (i in open) d.open = open[i]; });
    [...e.querySelectorAll(".scroll")].forEach((d, i) => { if (i in scrolled) d.scrollLeft = scrolled[i]; });
    let to = null;
    if (href) to = [...e.querySelectorAll("a")].filter((a) => a.getAttribute("href") === href)[same];
    else if (active) to = [...e.querySelectorAll("[tabindex],summary")][region];
    if (to) to.focus({ preventScroll: true });
    else if (active) $("main").focus({ preventScroll: true });
  };

  const input = $("filter");
  const filter = () => {
    const grid = $("grid");
    if (!input || !grid) return;
    const q = input.value.trim().toLowerCase();
    let shown = 0, all = 0;
    for (const row of grid.tBodies[0].rows) {
      let some = false;
      for (const li of row.querySelectorAll("li")) {
        const a = li.firstElementChild;
        const hit = (li.dataset.match + " " + a.dataset.state).includes(q);
        li.hidden = !hit;
        all++;
        if (hit) { some = true; shown++; }
      }
      for (const cell of row.cells) if (cell.tagName === "TD") cell.classList.toggle("none", !cell.querySelector("li:not([hidden])"));
      row.hidden = !some;
    }
    $("nothing").hidden = shown > 0;
    $("filtered").textContent = q ? shown + " of " + all : "";
  };
  if (input) {
    input.addEventListener("input", filter);
    input.form.addEventListener("submit", (e) => { if ($("grid")) { e.preventDefault(); filter(); } });
  }

  const url = document.body.dataset.live;
  if (!url || !window.EventSource) return;
  const had = new Map();
  let source = null;
  const told = (m) => {
    const news = JSON.parse(m.data);
    const at = new Date(news.at);
    const asOf = $("as-of");
    if (asOf) {
      asOf.dateTime = news.at;
      asOf.textContent = at.toISOString().slice(11, 19) + " UTC";
    }
    for (const [id, html] of Object.entries(news.html || {})) {
      const e = $(id);
      if (!e || had.get(id) === html) continue;
      had.set(id, html);
      fill(e, html);
    }
    filter();
    if (news.say) say(news.say);
    liveness(true, "● live");
  };
  const lost = () => {
    liveness(false, source.readyState === EventSource.CLOSED
      ? "○ not live: reload to see changes"
      : "○ not live: no connection to the gateway, trying again");
  };
  // A page that nobody sees is told nothing: browsers have six connections to
  // one place, for all pages together.
  const follow = () => {
    if (source) source.close();
    source = null;
    if (document.hidden) return;
    source = new EventSource(url);
    source.onmessage = told;
    source.onerror = lost;
  };
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", () => { if (source) source.close(); });
  window.addEventListener("pageshow", (e) => { if (e.persisted) follow(); });
  follow();
})();
