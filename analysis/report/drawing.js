"use strict";
/* What the pages of this project draw with: numbers as text, elements, axes, bars and responses. */
const Drawing = (() => {
  const short = (value, digits = 3) => {
    if (value === null || value === undefined) return "—";
    if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e6)) return value.toExponential(1).replace(/-/g, "−");
    return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: 21 }).replace("-", "−");
  };
  const fixed = (value, digits = 2) => (value === null || value === undefined ? "—" : value.toFixed(digits).replace("-", "−"));
  const share = (value) => (value === 0 ? "0" : value < 1e-4 ? value.toExponential(0).replace("-", "−") : value < 0.1 ? value.toPrecision(1) : value.toFixed(2)).replace(/^0\./, ".");
  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const svg = (name, attributes = {}, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const replace = (parent, children) => parent.replaceChildren(...children);
  const fill = (select, options, chosen) => {
    replace(select, options.map(([value, text]) => element("option", text, { value })));
    select.value = chosen;
    select.disabled = options.length < 2;
  };

  /* Colours are those of the figures, lighter where the page is dark. */
  const LIGHT_ON_DARK = { "#000000": "#e8e8e4", "#0072B2": "#4aa3df", "#801900": "#ff8f6b", "#7A6A00": "#c9b03a", "#6A3DE8": "#ab93ff", "#A0359A": "#e07bda", "#1F9981": "#3cc4a8", "#D55E00": "#f58a3c" };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const readable = (color) => (dark.matches && !matchMedia("print").matches ? LIGHT_ON_DARK[color] || color : color);

  const nice = (low, high, count) => {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const size = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
    const found = [];
    for (let at = Math.ceil(low / size) * size; at <= high + 1e-9; at += size) found.push(Math.abs(at) < 1e-9 ? 0 : Number(at.toPrecision(10)));
    return found;
  };

  /* Gold over KL: scales, axes and lines. */
  const ROOM = { left: 46, right: 14, top: 12, bottom: 40 };
  function scalesOf(box, { most, bottom, top, root = false }) {
    const width = box.width - ROOM.left - ROOM.right, height = box.height - ROOM.top - ROOM.bottom;
    const part = (kl) => (root ? Math.sqrt(Math.max(kl, 0) / most) : kl / most);
    return {
      most, root, width, height, bottom, top,
      x: (kl) => ROOM.left + part(kl) * width,
      y: (gold) => ROOM.top + ((top - gold) / (top - bottom)) * height,
      kl: (x) => { const at = (x - ROOM.left) / width; return (root ? at * at : at) * most; },
      gold: (y) => top - ((y - ROOM.top) / height) * (top - bottom),
    };
  }
  function line(scales, kl, gold, to = kl.length) {
    let out = "";
    for (let i = 0; i < to; i += 1) if (kl[i] !== null && gold[i] !== null) out += `${out ? "L" : "M"}${scales.x(kl[i]).toFixed(1)} ${scales.y(gold[i]).toFixed(1)}`;
    return out;
  }
  function area(scales, kl, low, high) {
    const ahead = kl.map((at, i) => [at, high[i]]).filter(([at, gold]) => at !== null && gold !== null);
    const back = kl.map((at, i) => [at, low[i]]).filter(([at, gold]) => at !== null && gold !== null).reverse();
    return ahead.length ? `M${[...ahead, ...back].map(([at, gold]) => `${scales.x(at).toFixed(1)} ${scales.y(gold).toFixed(1)}`).join("L")}Z` : "";
  }
  function axes(scales, box) {
    const found = [];
    for (const gold of nice(scales.bottom, scales.top, 6)) {
      const y = scales.y(gold);
      found.push(svg("path", { d: `M${ROOM.left} ${y}H${box.width - ROOM.right}`, class: gold === 0 ? "zero" : "grid" }));
      found.push(svg("text", { x: ROOM.left - 7, y: y + 4, class: "tick", "text-anchor": "end" }, short(gold)));
    }
    const marks = scales.root ? [0, 0.1, 0.5, 1, 2, 4, 6, 10, 15, 20, 40, 60, 100, 200, 400] : nice(0, scales.most, Math.max(3, Math.floor(scales.width / 90)));
    let before = -Infinity;
    for (const kl of marks.filter((each) => each <= scales.most)) {
      const x = scales.x(kl);
      if (x - before < 26) continue;
      before = x;
      found.push(svg("path", { d: `M${x} ${ROOM.top}V${box.height - ROOM.bottom}`, class: "grid" }));
      found.push(svg("text", { x, y: box.height - ROOM.bottom + 17, class: "tick", "text-anchor": "middle" }, short(kl)));
    }
    found.push(svg("text", { x: ROOM.left + scales.width / 2, y: box.height - 5, class: "axis", "text-anchor": "middle" }, `KL from the reference [nats]${scales.root ? ", on a scale of its root" : ""}`));
    found.push(svg("text", { x: 12, y: ROOM.top + scales.height / 2, class: "axis", "text-anchor": "middle", transform: `rotate(-90 12 ${ROOM.top + scales.height / 2})` }, "gold [sd]"));
    return found;
  }
  /* A line at a KL, with values beside it; words: [name, value, whether bold]. */
  function tip(scales, box, kl, words) {
    const x = scales.x(kl), wide = 8 + 6.3 * Math.max(...words.map(([name, value]) => name.length + value.length + 2));
    const left = x + 10 + wide > box.width ? x - 10 - wide : x + 10;
    const found = [svg("path", { d: `M${x} ${ROOM.top}V${box.height - ROOM.bottom}`, class: "cross" }), svg("rect", { x: left, y: ROOM.top, width: wide, height: 8 + 15 * words.length, rx: 4, class: "tip" })];
    words.forEach(([name, value, bold], i) => {
      const y = ROOM.top + 16 + 15 * i, kind = bold ? "tipword bold" : "tipword";
      found.push(svg("text", { x: left + 7, y, class: kind }, name), svg("text", { x: left + wide - 7, y, class: kind, "text-anchor": "end" }, value));
    });
    return found;
  }
  function swatch(color, dash = "") {
    const made = svg("svg", { width: 22, height: 10, viewBox: "0 0 22 10", "aria-hidden": "true" });
    made.append(svg("path", { d: "M0 5H22", stroke: color, "stroke-width": 3, "stroke-dasharray": dash }));
    return made;
  }

  /* Amounts as bars to both sides of zero; rows: [name, value, id]. */
  function bars(rows, far) {
    return rows.map(([name, value, id]) => {
      const row = element("div", null, { class: `bar ${value < 0 ? "less" : "more"}` });
      const track = element("span", null, { class: "track", "aria-hidden": "true" });
      const bar = element("i");
      bar.style.width = `${(50 * Math.min(Math.abs(value), far)) / far}%`;
      bar.style[value < 0 ? "right" : "left"] = "50%";
      track.append(bar);
      row.append(element("dt", name), track, element("dd", `${value > 0 ? "+" : ""}${fixed(value)}`, { id }));
      return row;
    });
  }

  /* A response with the tokens that break the grammar marked, and its probability under the reference and the policy. */
  function response(tokens, isBroken) {
    const cell = element("td", null, { class: "text" });
    tokens.forEach((token, i) => { cell.append(isBroken(i) ? element("mark", token, { title: "breaks the grammar" }) : token); });
    return cell;
  }
  const LEAST = 1e-6;
  const decade = (value) => 100 * (1 - Math.log10(Math.max(value, LEAST)) / Math.log10(LEAST));
  function moved(reference, policy) {
    const plot = element("td", null, { class: "plot" });
    const picture = svg("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" });
    picture.append(svg("path", { d: `M${decade(reference)} 6H${decade(policy)}`, class: policy > reference ? "up" : "down" }));
    const dots = element("span", null, { class: "dots", "aria-hidden": "true" });
    for (const [kind, value] of [["ref", reference], ["pi", policy]]) {
      const dot = element("i", null, { class: kind });
      dot.style.left = `${decade(value)}%`;
      dots.append(dot);
    }
    plot.append(picture, dots, element("span", `${share(reference)} → ${share(policy)}`, { class: "shares" }));
    return plot;
  }
  return { short, fixed, share, element, svg, replace, fill, readable, dark, nice, ROOM, scalesOf, line, area, axes, tip, swatch, bars, response, moved };
})();
