"use strict";
/* State -> charts. `data` is what data.py made; `state` is what the controls say; `render` draws all that depends on it. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const state = { at: data.parts[0].at.slice(), family: null, seed: null, value: null, prompt: null };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const SYMBOLS = { o: "circle", s: "square", "^": "triangle-up", D: "diamond", v: "triangle-down", P: "cross", X: "x", "*": "star" };
  const SHAPES = {
    o: "M14 3a4 4 0 1 0 .01 0Z", s: "M10.5 3.5h7v7h-7Z", "^": "M14 2.5l4.5 8h-9Z", D: "M14 2l5 5-5 5-5-5Z",
    v: "M14 11.5l4.5-8h-9Z", P: "M12.5 2.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z", X: "M10 4l1-1 3 3 3-3 1 1-3 3 3 3-1 1-3-3-3 3-1-1 3-3Z",
    "*": "M14 2l1.4 3.4 3.6.3-2.8 2.4.9 3.6L14 9.8l-3.1 1.9.9-3.6L9 5.7l3.6-.3Z",
  };
  let printing = false;
  let queued = false;

  /* words and numbers */
  const short = (value, digits = 3) => {
    if (value === null || value === undefined) return "—";
    if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e6)) return value.toExponential(1).replace(/-/g, "−");
    return Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: 21 }).replace("-", "−");
  };
  const share = (value) => (value === 0 ? "0" : value < 5e-5 ? value.toExponential(0).replace("-", "−") : short(value, 2));
  const between = (low, high) => (low === null || low === undefined ? "" : ` [${short(low)}, ${short(high)}]`);
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const replace = (parent, children) => parent.replaceChildren(...children);
  const fill = (select, options, chosen) => {
    replace(select, options.map(([value, text]) => element("option", text, { value })));
    select.value = chosen;
    select.disabled = options.length < 2;
  };

  /* colours */
  const theme = () => (dark.matches && !printing
    ? { ink: "#e8e8e4", soft: "#a9aeb3", grid: "#2c3034", paper: "#131517", bar: "#3f86b8" }
    : { ink: "#1b1d1f", soft: "#565b60", grid: "#e6e6e1", paper: "#fdfdfb", bar: "#7fb2d6" });
  const DARK = { "#000000": "#e8e8e4", "#0072B2": "#4aa3df", "#8C6D31": "#b8944f" };
  const color = (name) => {
    const own = data.styles[name].color;
    return dark.matches && !printing ? DARK[own] || own : own;
  };
  const faded = (hex, opacity) => {
    const number = parseInt(hex.slice(1), 16);
    return `rgba(${number >> 16}, ${(number >> 8) & 255}, ${number & 255}, ${opacity})`;
  };

  /* what is chosen */
  const part = () => data.parts.find((each) => each.at.every((value, i) => value === state.at[i]));
  const family = () => part().families.find((each) => each.name === state.family);
  const stop = () => Number($("stop").value);
  const curve = (chosen) => (chosen.along ? 0 : stop());
  const place = (chosen) => (state.seed === null ? -1 : chosen.seeds.indexOf(state.seed));
  const path = (chosen, seed) => (seed < 0 ? chosen.paths[curve(chosen)] : chosen.each[curve(chosen)][seed]);

  /* the policy that is looked at: kl, gold, proxy, and intervals where it is a mean */
  function policy(chosen, at = stop()) {
    const seed = place(chosen);
    if (seed < 0) {
      const pick = (name) => chosen.means[name][at];
      return {
        kl: pick("kl"), gold: pick("gold"), proxy: chosen.method === "gpo" ? null : pick("proxy"), low: pick("gold_low"),
        high: pick("gold_high"), klLow: pick("kl_low"), klHigh: pick("kl_high"), count: chosen.counts[at],
      };
    }
    const columns = chosen.along ? chosen.each[0][seed] : null;
    const [kl, gold, proxy] = chosen.along ? (columns || [[], [], []]).map((column) => column[at]) : chosen.ends[at][seed];
    return { kl, gold, proxy: chosen.method === "gpo" ? null : proxy, low: null, high: null, count: 1 };
  }

  /* controls */
  function fillAxes() {
    replace($("axes"), data.axes.map((axis, i) => {
      const field = element("p", null, { class: "field" });
      const select = element("select", null, { id: `axis-${i}` });
      field.append(element("label", axis.label, { for: `axis-${i}` }), select);
      select.addEventListener("change", () => { chooseAxis(i, select.value === "" ? null : Number(select.value)); });
      return field;
    }));
  }
  function showAxes() {
    data.axes.forEach((axis, i) => {
      const there = [...new Set(data.parts.map((each) => each.at[i]))].sort((a, b) => (a ?? Infinity) - (b ?? Infinity));
      fill($(`axis-${i}`), there.map((value) => [value ?? "", value === null ? "does not apply" : axis.values[value]]), state.at[i] ?? "");
    });
  }
  function chooseAxis(i, value) {
    const alike = (each) => each.at.filter((other, j) => other === state.at[j]).length;
    const there = data.parts.filter((each) => each.at[i] === value);
    state.at = there.reduce((best, each) => (alike(each) > alike(best) ? each : best)).at.slice();
    showPart();
  }
  function swatch(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const shape = (kind, attributes) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      svg.append(made);
    };
    for (const [key, value] of Object.entries({ width: 28, height: 14, viewBox: "0 0 28 14", "aria-hidden": "true" })) svg.setAttribute(key, value);
    const dashes = { solid: "", dash: "5 3", dashdot: "5 2 1 2", dot: "2 2" }[data.styles[name].dash];
    shape("path", { d: "M0 7H28", stroke: color(name), "stroke-width": 2, "stroke-dasharray": dashes ?? "4 1 1 1" });
    shape("path", { d: SHAPES[data.styles[name].marker], fill: color(name) });
    return svg;
  }
  function showFamilies() {
    const names = part().families.map((each) => each.name);
    if (!names.includes(state.family)) state.family = names[0];
    replace($("families"), names.map((name) => {
      const label = element("label");
      const radio = element("input", null, { type: "radio", name: "family" });
      radio.value = name;
      radio.checked = name === state.family;
      radio.addEventListener("change", () => { state.family = name; showFamily(); });
      label.append(radio, swatch(name), element("span", name));
      return label;
    }));
  }
  function showSeeds(chosen) {
    if (!chosen.seeds.includes(state.seed)) state.seed = null;
    const one = chosen.of === 1;
    const options = chosen.seeds.map((seed) => [seed, `seed ${seed}${one ? ", the only one" : ""}`]);
    if (!one) options.unshift(["", `mean of ${chosen.of} seeds`]);
    if (one) state.seed = chosen.seeds[0];
    fill($("seed"), options, state.seed === null ? "" : state.seed);
  }
  function showSlider(chosen) {
    const range = $("stop");
    const last = chosen.stops.length - 1;
    const log = (value) => Math.log(Math.max(Math.abs(value), 1e-12));
    const far = (i) => Math.abs(log(chosen.stops[i]) - log(state.value));
    let at = chosen.along ? last : Math.floor(last / 2);
    if (state.value !== null && state.by === chosen.by) at = chosen.stops.reduce((best, _, i) => (far(i) < far(best) ? i : best), 0);
    range.max = last;
    range.value = at;
    range.disabled = last < 1;
    $("stop-name").textContent = chosen.by;
    $("stop-first").textContent = last < 1 ? "" : short(chosen.stops[0]);
    $("stop-last").textContent = last < 1 ? "" : short(chosen.stops[last]);
    $("stop-note").textContent = last < 1 ? `there is only one ${chosen.by}` : chosen.what;
    state.value = chosen.stops[at];
    state.by = chosen.by;
  }
  const showPart = () => { showAxes(); showFamilies(); showFamily(); };
  const showFamily = () => { const chosen = family(); showSeeds(chosen); showSlider(chosen); showTable(chosen); render(); };

  /* the readout */
  function readout(chosen, now) {
    const rows = [
      [chosen.by, short(chosen.stops[stop()]), ""],
      ["KL", short(now.kl), `${between(now.klLow, now.klHigh)} nats`],
      ["gold", short(now.gold), `${between(now.low, now.high)} sd`],
    ];
    if (now.proxy !== null && now.proxy !== undefined) rows.push(["proxy score", short(now.proxy), " sd"]);
    rows.push(["over", state.seed === null ? `${now.count} seeds` : `seed ${state.seed}`, ""]);
    replace($("readout"), rows.map(([name, value, rest]) => {
      const row = element("div");
      const told = element("dd", value);
      told.append(element("small", rest));
      row.append(element("dt", name), told);
      return row;
    }));
    const notes = [];
    if (now.kl === null || now.kl === undefined) notes.push("This run diverged, so it has no place here.");
    if (chosen.of === 1) notes.push("One seed: no interval.");
    else if (state.seed !== null) notes.push("A single seed: no interval.");
    else if (now.count < chosen.of) notes.push(`${now.count} of ${chosen.of} seeds: the others did not come this far.`);
    else if (now.low !== null) notes.push("In brackets: 95 % intervals over seeds.");
    $("note").textContent = notes.join(" ");
    const said = `${chosen.by} = ${short(chosen.stops[stop()])}`;
    $("stop-value").textContent = short(chosen.stops[stop()]);
    $("stop").setAttribute("aria-valuetext", `${said}, KL ${short(now.kl)} nats, gold ${short(now.gold)}`);
    $("frontier").setAttribute("aria-label", `Gold against KL. ${chosen.name} at ${said}: KL ${short(now.kl)} nats, gold ${short(now.gold)} standard deviations.`);
  }
  function showTable(chosen) {
    const scored = chosen.method !== "gpo";
    const names = [chosen.by, "KL [nats]", "gold [sd]", ...(scored ? ["proxy score [sd]"] : []), "seeds"];
    const head = element("tr");
    head.append(...names.map((name) => element("th", name, { scope: "col", class: "number" })));
    replace($("numbers-head"), [head]);
    const means = chosen.means;
    replace($("numbers-body"), chosen.stops.map((value, i) => {
      const row = element("tr");
      const cells = [
        short(value), short(means.kl[i]) + between(means.kl_low[i], means.kl_high[i]),
        short(means.gold[i]) + between(means.gold_low[i], means.gold_high[i]),
        ...(scored ? [short(means.proxy[i])] : []), chosen.counts[i],
      ];
      row.append(...cells.map((cell) => element("td", cell, { class: "number" })));
      return row;
    }));
    $("numbers").querySelector("summary").textContent = `The chart as a table: ${chosen.name}`;
  }

  /* charts */
  const config = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false, showTips: false, plotlyServerURL: "" };
  const layout = (colors, x, y, revision) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, uirevision: revision,
    margin: { l: 52, r: 8, t: 10, b: 46 }, dragmode: coarse ? false : "zoom", hovermode: "closest",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colors.ink },
    hoverlabel: { bgcolor: colors.paper, bordercolor: colors.soft, font: { color: colors.ink } },
    xaxis: { gridcolor: colors.grid, zerolinecolor: colors.soft, linecolor: colors.soft, ...x },
    yaxis: { gridcolor: colors.grid, zerolinecolor: colors.soft, linecolor: colors.soft, ...y },
  });
  const root = () => $("scale").value === "root";
  const along = (values) => values.map((value) => (value === null ? null : root() ? Math.sqrt(Math.max(value, 0)) : value));
  const hover = (name, what, kl, gold, rest = "") => `${plain(name)}${what ? `, ${plain(what)}` : ""}<br>KL ${short(kl)} nats<br>gold ${short(gold)}${rest} sd`;

  function klAxis(most) {
    const right = root() ? Math.sqrt(most) : most;
    const axis = { title: { text: root() ? "KL [nats], on a square-root axis" : "KL(π‖π_ref) [nats per response]" }, range: [-0.02 * right, 1.04 * right] };
    if (!root()) return axis;
    const ticks = [];
    for (const value of [0, 0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 70, 100, 200, 400, 700, 1000, 2000, 5000, 10000]) {
      if (value <= most && (!ticks.length || Math.sqrt(value) - Math.sqrt(ticks[ticks.length - 1]) > right / 11)) ticks.push(value);
    }
    return { ...axis, tickmode: "array", tickvals: ticks.map(Math.sqrt), ticktext: ticks.map(String) };
  }
  function bandOf(each, opacity) {
    if (!each.frontier.low) return [];
    const x = along(each.frontier.kl);
    const line = { x, mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
    return [{ ...line, y: each.frontier.low }, { ...line, y: each.frontier.high, fill: "tonexty", fillcolor: faded(color(each.name), opacity) }];
  }
  function lineOf(each, focus) {
    const { kl, gold, low, high } = each.frontier;
    return {
      x: along(kl), y: gold, mode: "lines", hoverinfo: "text", opacity: focus ? 1 : 0.45, meta: focus ? "line" : "other",
      text: kl.map((value, i) => hover(each.name, "mean frontier", value, gold[i], low ? between(low[i], high[i]) : "")),
      line: { color: color(each.name), width: focus ? 2.6 : 1.4, dash: data.styles[each.name].dash },
    };
  }
  function marksOf(each, focus) {
    const points = each.stops.map((_, i) => (focus ? policy(each, i) : { kl: each.means.kl[i], gold: each.means.gold[i], low: each.means.gold_low[i], high: each.means.gold_high[i] }));
    const half = points.map((point) => (point.low === null || point.low === undefined ? 0 : (point.high - point.low) / 2));
    const bars = focus && half.some((value) => value > 0) ? { error_y: { array: half, thickness: 1, width: 0, color: faded(color(each.name), 0.7) } } : {};
    return {
      x: along(points.map((point) => point.kl ?? null)), y: points.map((point) => point.gold ?? null), mode: "markers", hoverinfo: "text",
      meta: focus ? "marks" : "other", opacity: focus ? 1 : 0.5, cliponaxis: false, ...bars,
      text: points.map((point, i) => hover(each.name, `${each.by} = ${short(each.stops[i])}`, point.kl, point.gold, between(point.low, point.high))),
      marker: { color: color(each.name), symbol: SYMBOLS[data.styles[each.name].marker], size: focus ? 8 : 5 },
    };
  }
  function pathOf(chosen) {
    const columns = path(chosen, place(chosen));
    if (!columns) return [];
    const [kl, gold, proxy] = columns;
    const what = chosen.by === "n" || chosen.by === "τ" ? (i) => `${chosen.by} = ${short(chosen.stops[i])}` : (i) => `step ${chosen.steps[i]}`;
    const text = (values) => kl.map((value, i) => hover(chosen.name, what(i), value, values[i]));
    const base = { x: along(kl), mode: "lines+markers", hoverinfo: "text", marker: { size: 3.5, color: color(chosen.name) } };
    const line = { color: color(chosen.name), width: 1.3 };
    const found = [{ ...base, y: gold, text: text(gold), line, meta: "path" }];
    if (proxy) found.push({ ...base, mode: "lines", y: proxy, text: text(proxy).map((each) => each.replace("<br>gold", "<br>proxy score")), line: { ...line, dash: "dot" }, meta: "proxy" });
    return found;
  }
  function drawFrontier(chosen, now) {
    const colors = theme();
    const here = part();
    const others = $("others").checked ? here.families.filter((each) => each !== chosen) : [];
    const [low, high] = here.frame.gold;
    const most = here.frame.kl[1] || 1;
    const room = 0.06 * (high - low) || 1;
    const best = here.oracle;
    const top = best.gold.length ? Math.max(...best.gold) : 0;
    const kl = [...best.kl, ...(best.kl.length ? [Math.max(most, ...best.kl)] : [])];
    const gold = [...best.gold, ...(best.kl.length ? [top] : [])];
    const traces = [
      { x: along(kl), y: gold, mode: "lines", line: { color: colors.soft, width: 1.6, dash: "6px,4px" }, hoverinfo: "text", meta: "oracle", text: kl.map((value, i) => hover("oracle", "the best that can be", value, gold[i])) },
      ...others.flatMap((each) => bandOf(each, 0.035)), ...bandOf(chosen, 0.18),
      ...others.flatMap((each) => [lineOf(each, false), marksOf(each, false)]),
      lineOf(chosen, true), ...pathOf(chosen), marksOf(chosen, true),
      {
        x: along([now.kl ?? null]), y: [now.gold ?? null], mode: "markers", meta: "mark", hoverinfo: "text", cliponaxis: false,
        text: [hover(chosen.name, `${chosen.by} = ${short(chosen.stops[stop()])}`, now.kl, now.gold, between(now.low, now.high))],
        marker: { color: color(chosen.name), size: 19, symbol: SYMBOLS[data.styles[chosen.name].marker], line: { color: colors.ink, width: 2.5 } },
      },
    ];
    const y = { title: { text: "gold [sd under π_ref]" }, range: [low - room, high + room] };
    Plotly.react($("frontier"), traces, layout(colors, klAxis(most), y, `${state.at}/${root()}`), config);
  }

  /* the law of gold */
  const spelled = (law) => (law ? law[1].map((value, i) => [data.bins.first + data.bins.width * (law[0] + i), value]) : []);
  function frameOf(here) {
    const laws = here.families.flatMap((each) => [...each.laws, ...each.law.flat()]).concat([here.reference]).map(spelled);
    const seen = laws.flat().filter(([, value]) => value > 0.002).map(([gold]) => gold);
    return { x: [Math.min(...seen) - data.bins.width, Math.max(...seen) + data.bins.width], y: [0, 1.05 * Math.max(...laws.flat().map(([, value]) => value))] };
  }
  const frames = new Map();
  function drawLaw(chosen) {
    const here = part();
    const law = state.seed === null ? chosen.laws[curve(chosen)] : (chosen.law[curve(chosen)] || [])[place(chosen)];
    $("law-part").hidden = !law || !here.reference;
    if ($("law-part").hidden) return false;
    if (!frames.has(here)) frames.set(here, frameOf(here));
    const colors = theme();
    const hovers = (rows, who) => rows.map(([gold, value]) => `gold ${short(gold - data.bins.width / 2)} to ${short(gold + data.bins.width / 2)}<br>${who} ${share(value)}`);
    const [own, reference] = [spelled(law), spelled(here.reference)];
    const traces = [
      { type: "bar", x: own.map(([gold]) => gold), y: own.map(([, value]) => value), width: data.bins.width * 0.92, marker: { color: colors.bar, line: { color: colors.soft, width: 0.5 } }, hoverinfo: "text", hovertext: hovers(own, "policy"), meta: "policy" },
      { x: reference.map(([gold]) => gold), y: reference.map(([, value]) => value), mode: "lines", line: { color: colors.ink, width: 1.8, shape: "hvh" }, hoverinfo: "text", text: hovers(reference, "reference"), meta: "reference" },
    ];
    const x = { title: { text: "gold of a response [sd under π_ref]" }, range: frames.get(here).x };
    const y = { title: { text: "probability" }, range: frames.get(here).y };
    Plotly.react($("law"), traces, { ...layout(colors, x, y, String(state.at)), bargap: 0 }, config);
    const mean = spelled(law).reduce((sum, [gold, value]) => sum + gold * value, 0);
    $("law").setAttribute("aria-label", `The law of gold under ${chosen.name}: its mean is about ${short(mean, 2)}, the reference's is 0.`);
    $("law-note").textContent = chosen.along ? "At the end of training." : state.seed === null && chosen.of > 1 ? `The mean of ${chosen.of} seeds.` : "";
    return true;
  }

  /* responses */
  function showResponses(chosen) {
    const runs = chosen.said[curve(chosen)] || [];
    const seed = state.seed === null ? runs.findIndex((each) => each) : place(chosen);
    const run = runs[seed];
    $("said-part").hidden = !run;
    if (!run) return false;
    const prompts = [...new Set(run.rows.map(([item]) => data.items[item][0]))];
    if (!prompts.includes(state.prompt)) state.prompt = prompts[0];
    fill($("prompt"), prompts.map((each) => [each, data.prompts[each]]), state.prompt);
    const notes = [];
    if (state.seed === null && chosen.of > 1) notes.push(`Of seed ${chosen.seeds[seed]}: single responses have no mean over seeds.`);
    if (chosen.along) notes.push("At the end of training, wherever the slider is.");
    $("said-note").textContent = notes.join(" ");
    const head = element("tr");
    const names = ["response", "π", "π_ref", "gold [sd]", run.ratio ? "log π/π_ref [nats]" : "proxy score [sd]"];
    head.append(...names.map((name, i) => element("th", name, i ? { scope: "col", class: "number" } : { scope: "col" })));
    replace($("said-head"), [head]);
    replace($("said-body"), run.rows.filter(([item]) => data.items[item][0] === state.prompt).map(([item, probability, proxy]) => {
      const [, text, reference, gold] = data.items[item];
      const row = element("tr");
      row.append(element("td", text), meter(probability), meter(reference), element("td", short(gold), { class: "number" }), element("td", short(proxy), { class: "number" }));
      return row;
    }));
    return true;
  }
  function meter(value) {
    const cell = element("td", share(value), { class: "number meter" });
    const bar = element("i", null, { "aria-hidden": "true" });
    bar.style.width = `calc(${Math.min(100 * value, 100)}% - .7rem * ${Math.min(value, 1)})`;
    cell.append(bar);
    return cell;
  }

  function render() {
    queued = false;
    const chosen = family();
    const now = policy(chosen);
    state.value = chosen.stops[stop()];
    readout(chosen, now);
    drawFrontier(chosen, now);
    const shown = [drawLaw(chosen), showResponses(chosen)];
    const anywhere = data.items.length > 0 || data.parts.some((each) => each.reference);
    $("silent").hidden = shown.some(Boolean) || !anywhere;
    $("silent").textContent = "What this policy says is not recorded; other choices have it.";
  }
  const later = () => { if (!queued) { queued = true; requestAnimationFrame(render); } };
  const repaint = () => { showFamilies(); render(); };

  $("stop").addEventListener("input", later);
  $("seed").addEventListener("change", () => { state.seed = $("seed").value === "" ? null : Number($("seed").value); render(); });
  $("scale").addEventListener("change", render);
  $("others").addEventListener("change", render);
  $("prompt").addEventListener("change", () => { state.prompt = Number($("prompt").value); render(); });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  dark.addEventListener("change", repaint);
  window.addEventListener("beforeprint", () => { printing = true; repaint(); });
  window.addEventListener("afterprint", () => { printing = false; repaint(); });
  fillAxes();
  showPart();
})();
