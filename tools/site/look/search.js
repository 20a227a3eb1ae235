// Finds sections that hold every word. Without JavaScript there is no field.
const field = document.getElementById("q"), hits = document.getElementById("hits"), root = document.body.dataset.root;
field.hidden = false;
function score(page, words) {
  let n = 0;
  const title = page.p.toLowerCase(), head = page.h.toLowerCase();
  for (const w of words) {
    if (head.includes(w)) n += 20;
    else if (title.includes(w)) n += 10;
    else if (page.t.includes(w)) n += 1;
    else return 0;
  }
  return n;
}
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? pages.map(p => [score(p, words), p]).filter(x => x[0]).sort((a, b) => b[0] - a[0]).slice(0, 12) : [];
  hits.replaceChildren(...found.map(([, p]) => {
    const li = document.createElement("li"), a = document.createElement("a");
    a.href = root + p.u;
    a.textContent = p.h ? p.p + ": " + p.h : p.p;
    li.append(a);
    return li;
  }));
  hits.hidden = !found.length;
});
addEventListener("keydown", e => {
  if (e.key === "/" && document.activeElement !== field) { e.preventDefault(); field.focus(); }
  if (e.key === "Escape") { hits.hidden = true; field.blur(); }
});
