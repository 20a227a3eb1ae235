package console

import (
	"github.com/stretchr/testify/require"
)

// noScroll wants a page to be no wider than the window.
func noScroll(p *tab) {
	p.t.Helper()
	require.LessOrEqual(p.t, eval[int](p, `document.documentElement.scrollWidth`), eval[int](p, `document.documentElement.clientWidth`),
		"the page scrolls sideways")
}

// findPale returns texts with less contrast than WCAG AA asks for: 4.5, or 3 for
// large ones. Backgrounds with transparency are put upon what is behind them.
const findPale = `(() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    const d = pen.getImageData(0, 0, 1, 1).data;
    return [d[0], d[1], d[2], d[3] / 255];
  };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const behind = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, l) => over(l, below), [255, 255, 255, 1]);
  };
  const light = (c) => {
    const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]);
  };
  const pale = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest("svg,.sr")) continue;
    const s = getComputedStyle(e), back = behind(e), ink = over(rgba(s.color), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(s.fontSize);
    const large = size >= 24 || size >= 18.66 && +s.fontWeight >= 700;
    if (ratio < (large ? 3 : 4.5)) pale.add(walk.currentNode.data.trim().slice(0, 30) + ": " + ratio.toFixed(2));
  }
  for (const e of document.querySelectorAll("svg.glyph")) {
    if (!e.checkVisibility()) continue;
    const back = behind(e.parentElement), ink = over(rgba(getComputedStyle(e).color), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 3) pale.add(e.getAttribute("class"));
  }
  return [...pale];
})()`

// contrast wants every text and every sign of p to stand out from what is
// behind it.
func contrast(p *tab) {
	p.t.Helper()
	require.Empty(p.t, eval[[]string](p, findPale), "too little contrast")
}
