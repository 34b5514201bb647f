"use strict";
/* State -> picture. `data` is what data.py made; `state` is what the controls say; `render` draws all that follows. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const state = { at: data.parts[0].at.slice(), family: null, seed: null, value: null, step: null, prompt: null, hover: null };
  let queued = false;
  let timer = null;

  const { short, fixed, element, svg, replace, fill, dark, nice, ROOM } = Drawing;
  const between = (low, high) => (low === null || low === undefined ? "" : ` [${fixed(low)}, ${fixed(high)}]`);
  const color = (name) => Drawing.readable(data.styles[name].color);

  /* what is chosen */
  const part = () => data.parts.find((each) => each.at.every((value, i) => value === state.at[i]));
  const family = () => part().families.find((each) => each.name === state.family);
  const stop = () => state.stop;
  const curve = (chosen) => (chosen.along ? 0 : stop());
  const place = (chosen) => (state.seed === null ? -1 : chosen.seeds.indexOf(state.seed));
  const pathOf = (chosen, at = curve(chosen)) => {
    const seed = place(chosen);
    return seed < 0 ? chosen.paths[at] : chosen.each[at][seed];
  };
  const last = (columns) => {
    for (let i = columns[0].length - 1; i >= 0; i -= 1) if (columns[0][i] !== null) return i;
    return 0;
  };
  const times = (chosen) => (chosen.along ? chosen.stops : chosen.steps);
  const nearest = (values, wanted) => values.reduce((best, value, i) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? i : best), 0);
  const moment = (chosen, columns) => {
    const end = last(columns);
    return state.step === null ? end : Math.min(end, nearest(times(chosen), state.step));
  };

  /* the policy that is looked at; intervals where it is a mean over seeds */
  function policy(chosen) {
    const columns = pathOf(chosen);
    if (!columns) return { kl: null, gold: null, count: 0 };
    const i = moment(chosen, columns);
    const [kl, gold, proxy, fluency] = columns.map((values) => (values ? values[i] : null));
    const mean = state.seed === null && chosen.of > 1;
    const [low, high] = mean ? chosen.band[curve(chosen)].map((values) => values[i]) : [null, null];
    return { kl, gold, proxy, fluency, low, high, i, end: i === last(columns), count: mean ? chosen.of : 1 };
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
  function showFamilies() {
    const families = part().families;
    if (!families.some((each) => each.name === state.family)) state.family = families[0].name;
    replace($("families"), families.map((each) => {
      const label = element("label");
      const radio = element("input", null, { type: "radio", name: "family" });
      radio.value = each.name;
      radio.checked = each.name === state.family;
      radio.addEventListener("change", () => { state.family = each.name; showFamily(); });
      label.append(radio, Drawing.swatch(color(each.name), data.styles[each.name].dash), element("span", each.label));
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

  /* the slider over beta: right is weak, as on the picture; it stands at log beta and stops at what was trained */
  const strength = (beta) => {
    if (beta > 0) return -Math.log10(beta);
    const known = part().families.flatMap((each) => (each.along ? [] : each.stops)).filter((each) => each > 0);
    return known.length ? 0.5 - Math.log10(Math.min(...known)) : 12; /* a penalty of 0 stands a little beyond the least */
  };
  function showSlider(chosen) {
    $("beta").hidden = chosen.along;
    state.stop = chosen.stops.length - 1;
    if (!chosen.along) {
      const log = chosen.stops.map(strength);
      const wanted = state.value === null ? Math.max(...log) : strength(state.value);
      state.stop = nearest(log, wanted);
      const range = $("stop");
      [range.min, range.max, range.step] = [Math.min(...log), Math.max(...log), "any"];
      if (range.min === range.max) range.max = Number(range.min) + 1;
      range.disabled = log.length < 2;
      const width = Number(range.max) - Number(range.min);
      replace($("ticks"), log.map((at) => {
        const tick = element("i");
        tick.style.left = `${(100 * (at - Number(range.min))) / width}%`;
        return tick;
      }));
      $("stop-note").textContent = log.length < 2 ? "there is only one β" : "";
    }
    const end = times(chosen).length - 1;
    $("step").max = end;
    $("step").disabled = end < 1;
    $("step-name").textContent = chosen.by === "β" ? "step" : chosen.by;
    moveTo(chosen, state.stop);
  }
  function moveTo(chosen, i) {
    state.stop = i;
    if (!chosen.along) {
      state.value = chosen.stops[i];
      $("stop").value = strength(state.value);
    }
    later();
  }
  function step(by) {
    const chosen = family();
    const order = chosen.stops.map((_, i) => i).sort((a, b) => strength(chosen.stops[a]) - strength(chosen.stops[b]));
    const next = order.indexOf(stop()) + by;
    moveTo(chosen, order[Math.max(0, Math.min(order.length - 1, next))]);
  }
  const showPart = () => { showAxes(); showFamilies(); showFamily(); };
  const showFamily = () => { const chosen = family(); showSeeds(chosen); showSlider(chosen); showTable(chosen); render(); };

  /* play: along training, from where the scrubber stands or from the start */
  function play() {
    const chosen = family();
    const columns = pathOf(chosen);
    if (timer !== null || !columns) { pause(); return; }
    const end = last(columns);
    let i = moment(chosen, columns);
    if (i >= end) i = -1;
    $("readout").setAttribute("aria-live", "off"); /* said when it is over, not at each step */
    $("play").textContent = "❚❚ Pause";
    timer = setInterval(() => {
      i += 1;
      state.step = times(family())[Math.min(i, times(family()).length - 1)];
      if (i >= end) { state.step = null; pause(); }
      render();
    }, Math.max(60, 3500 / Math.max(1, end)));
  }
  function pause() {
    clearInterval(timer);
    timer = null;
    $("readout").setAttribute("aria-live", document.activeElement === $("play") ? "polite" : "off");
    $("play").textContent = "▶ Play";
  }

  /* the picture: gold over KL */
  let scales = null;
  function scalesFor(here, box) {
    const root = $("scale").value === "root";
    const frame = state.seed === null ? here.frame : { kl: here.frame.each_kl, gold: here.frame.each_gold };
    const most = (frame.kl[1] || 1) * 1.06;
    const [low, high] = frame.gold;
    const room = 0.09 * (high - low) || 1;
    return Drawing.scalesOf(box, { most, bottom: low - room, top: high + room, root });
  }
  const line = (...of) => Drawing.line(scales, ...of);
  const atKl = (columns, kl) => {
    const [along, gold] = columns;
    for (let i = 1; i <= last(columns); i += 1) {
      if (along[i - 1] <= kl && kl <= along[i]) return gold[i - 1] + ((kl - along[i - 1]) / (along[i] - along[i - 1] || 1)) * (gold[i] - gold[i - 1]);
    }
    return null;
  };
  const alike = (each, chosen) => {
    if (each.along) return each.paths[0];
    if (chosen.along) return each.paths[each.stops.map(strength).reduce((best, at, i, all) => (at > all[best] ? i : best), 0)];
    return each.paths[nearest(each.stops.map(strength), strength(chosen.stops[stop()]))];
  };
  function drawOthers(here, chosen) {
    if (!$("others").checked) return [];
    return here.families.filter((each) => each !== chosen).flatMap((each) => {
      const columns = alike(each, chosen);
      if (!columns) return [];
      return [svg("path", { d: line(columns[0], columns[1]), class: "other", "data-family": each.name, "stroke-dasharray": data.styles[each.name].dash })];
    });
  }
  function drawBand(chosen) {
    if (state.seed !== null || chosen.of < 2 || !chosen.paths[curve(chosen)]) return [];
    const [low, high] = chosen.band[curve(chosen)];
    const kl = chosen.paths[curve(chosen)][0];
    return [svg("path", { d: Drawing.area(scales, kl, low, high), class: "band", fill: color(chosen.name) })];
  }
  function drawChosen(chosen, now) {
    const columns = pathOf(chosen);
    if (!columns) return [];
    const paint = color(chosen.name);
    const found = [svg("path", { d: line(columns[0], columns[1]), class: "rest", stroke: paint })];
    found.push(svg("path", { d: line(columns[0], columns[1], now.i + 1), class: "path", stroke: paint, id: "walked" }));
    if (columns[2]) found.push(svg("path", { d: line(columns[0], columns[2], now.i + 1), class: "proxy", stroke: paint }));
    const top = columns[1].reduce((best, gold, i) => (gold !== null && gold > columns[1][best] ? i : best), 0);
    const peak = [scales.x(columns[0][top]), scales.y(columns[1][top])];
    found.push(svg("circle", { cx: peak[0], cy: peak[1], r: 5, class: "peak", stroke: paint }), svg("text", { x: peak[0], y: peak[1] - 10, class: "word", "text-anchor": "middle" }, "peak"));
    return found;
  }
  function drawEnds(chosen) {
    if (chosen.along) return [];
    const ends = chosen.stops.map((beta, i) => {
      const columns = pathOf(chosen, i);
      return columns ? { beta, i, kl: columns[0][last(columns)], gold: columns[1][last(columns)] } : null;
    }).filter(Boolean).sort((a, b) => b.beta - a.beta);
    const found = [svg("path", { d: line(ends.map((end) => end.kl), ends.map((end) => end.gold)), class: "across", stroke: color(chosen.name) })];
    for (const end of ends) {
      const dot = svg("circle", { cx: scales.x(end.kl), cy: scales.y(end.gold), r: 4.5, class: "end", fill: color(chosen.name), "data-stop": end.i });
      dot.append(svg("title", {}, `β ${short(end.beta)} ends at KL ${short(end.kl)} with gold ${fixed(end.gold)}`));
      dot.addEventListener("click", () => { state.step = null; moveTo(family(), end.i); });
      found.push(dot);
    }
    return found;
  }
  function drawChart(chosen, now) {
    const chart = $("frontier");
    const box = { width: chart.clientWidth || 600, height: chart.clientHeight || 420 };
    const here = part();
    scales = scalesFor(here, box);
    const picture = svg("svg", { viewBox: `0 0 ${box.width} ${box.height}`, width: box.width, height: box.height, "aria-hidden": "true" });
    const best = here.oracle;
    const oracle = best.kl.length ? [[...best.kl, Math.max(scales.most, ...best.kl)], [...best.gold, Math.max(...best.gold)]] : [[], []];
    const clip = svg("clipPath", { id: "inside" });
    clip.append(svg("rect", { x: ROOM.left - 8, y: 0, width: scales.width + ROOM.right + 8, height: ROOM.top + scales.height + 2 }));
    const inside = svg("g", { "clip-path": "url(#inside)" });
    inside.append(...drawBand(chosen), svg("path", { d: line(...oracle), class: "oracle", id: "oracle" }), ...drawOthers(here, chosen), ...drawEnds(chosen), ...drawChosen(chosen, now));
    if (oracle[0].length) inside.append(svg("text", { x: ROOM.left + 0.6 * scales.width, y: scales.y(Math.max(...best.gold)) - 6, class: "word", "text-anchor": "middle" }, "best that any policy can do"));
    inside.append(svg("rect", { x: scales.x(0) - 4, y: scales.y(0) - 4, width: 8, height: 8, class: "start" }), svg("text", { x: scales.x(0) + 8, y: scales.y(0) + 15, class: "word" }, "reference"));
    picture.append(clip, ...Drawing.axes(scales, box), inside);
    if (now.kl !== null) picture.append(svg("circle", { cx: scales.x(now.kl), cy: scales.y(now.gold), r: 8, class: "now", fill: color(chosen.name), id: "mark", "data-kl": now.kl, "data-gold": now.gold }));
    picture.append(svg("g", { id: "hover" }));
    replace(chart, [picture]);
    drawHover();
  }
  /* alone: a click whose target is replaced between press and release is lost */
  function drawHover() {
    const chart = $("frontier"), chosen = family();
    const box = { width: chart.clientWidth || 600, height: chart.clientHeight || 420 };
    for (const path of chart.querySelectorAll(".other")) {
      path.style.stroke = state.hover && state.hover.name === path.dataset.family ? color(path.dataset.family) : "";
    }
    if ($("hover")) replace($("hover"), state.hover ? crosshair(part(), chosen, box) : []);
  }
  function crosshair(here, chosen, box) {
    const kl = state.hover.kl;
    const rows = here.families.map((each) => [each, each === chosen ? pathOf(chosen) : alike(each, chosen)]).filter(([, columns]) => columns)
      .map(([each, columns]) => [each, atKl(columns, kl)]).filter(([, gold]) => gold !== null).sort((a, b) => b[1] - a[1]);
    const best = bestAt(kl);
    const words = [[`KL ${fixed(kl, 1)} nats`, "", true], ...(best === null ? [] : [["best possible", fixed(best), false]]), ...rows.map(([each, gold]) => [each.label, fixed(gold), each === chosen])];
    return Drawing.tip(scales, box, kl, words);
  }

  /* what the policy is, in a sentence */
  function readout(chosen, now) {
    const where = chosen.along ? "" : `β ${short(chosen.stops[stop()])}`;
    const time = chosen.along ? `${chosen.by} ${short(times(chosen)[now.i ?? 0])}` : now.end ? "end of training" : `step ${short(times(chosen)[now.i ?? 0])}`;
    $("stop-value").textContent = where.replace("β ", "");
    $("step-value").textContent = now.kl === null ? "—" : short(times(chosen)[now.i]);
    if (now.kl !== null) $("step").value = now.i;
    const parts = [`${chosen.label}, ${[where, time].filter(Boolean).join(", ")}: `];
    if (now.kl === null) parts.push("this run diverged, so it has no place here.");
    else {
      const best = bestAt(now.kl);
      parts.push(`KL ${short(now.kl)} nats, gold ${fixed(now.gold)}${between(now.low, now.high)} sd`);
      if (best > 0.01) parts.push(`, ${short(Math.min(100, Math.round((100 * now.gold) / best)))} % of the best possible`);
      if (now.proxy !== null && now.proxy !== undefined) parts.push(`; the proxy says ${fixed(now.proxy)}`);
      parts.push(".");
    }
    $("readout").textContent = parts.join("");
    const notes = [];
    if (chosen.of === 1) notes.push("One seed: no interval.");
    else if (state.seed !== null) notes.push("A single seed: no interval.");
    else if (now.low !== null && now.low !== undefined) notes.push("In brackets: 95 % interval of the mean over seeds.");
    if (state.seed === null && !chosen.along && chosen.counts[stop()] < chosen.of) notes.push(`${chosen.counts[stop()]} of ${chosen.of} seeds: the others did not come this far.`);
    $("note").textContent = notes.join(" ");
    $("stop").setAttribute("aria-valuetext", `${where.replace("β ", "β = ")}, KL ${short(now.kl)} nats, gold ${short(now.gold)}`);
    $("step").setAttribute("aria-valuetext", `${time}, KL ${short(now.kl)} nats, gold ${short(now.gold)}`);
    $("frontier").setAttribute("aria-label", `Gold against KL. ${parts.join("")}`);
  }

  /* gold split into content and fluency */
  function drawSplit(chosen, now) {
    const there = now.fluency !== null && now.fluency !== undefined;
    $("split-part").hidden = !there;
    if (!there) return;
    const columns = part().families.flatMap((each) => each.paths).filter((each) => each && each[3]);
    const far = Math.max(0.5, ...columns.flatMap(([, gold, , fluency]) => gold.map((value, i) => Math.max(Math.abs(fluency[i] ?? 0), Math.abs((value ?? 0) - (fluency[i] ?? 0)), Math.abs(value ?? 0)))));
    const rows = [["content", now.gold - now.fluency], ["fluency", now.fluency], ["gold", now.gold]];
    replace($("split"), Drawing.bars(rows.map(([name, value]) => [name, value, `split-${name}`]), far));
  }

  /* what it says: reference -> policy on a scale of powers of ten */
  function response(text, breaks) {
    const tokens = text.includes(" ") && breaks.length < text.length ? text.split(" ").map((word, i) => (i ? ` ${word}` : word)) : [...text];
    return Drawing.response(tokens, (i) => breaks[i] === "x");
  }
  function showResponses(chosen) {
    const runs = chosen.said[curve(chosen)] || [];
    const seed = state.seed === null ? runs.findIndex((each) => each) : place(chosen);
    const run = runs[seed];
    $("said-part").hidden = !run;
    if (!run) return false;
    const prompts = [...new Set(run.rows.map(([item]) => data.items[item][0]))];
    if (!prompts.includes(state.prompt)) state.prompt = prompts[0];
    fill($("prompt"), prompts.map((each) => [each, data.prompts[each]]), state.prompt);
    const notes = [state.seed === null && chosen.of > 1 ? `Seed ${chosen.seeds[seed]}, at the end of training.` : "At the end of training."];
    const rows = run.rows.filter(([item]) => data.items[item][0] === state.prompt);
    if (rows.some(([item]) => data.items[item][5])) notes.push("Underlined: breaks the grammar.");
    $("said-note").textContent = notes.join(" ");
    replace($("said-body"), rows.map(([item, probability, proxy]) => {
      const [, text, reference, gold, fluency, breaks] = data.items[item];
      const row = element("tr");
      row.append(response(text, breaks || ""), Drawing.moved(reference, probability), element("td", fixed(gold, 1), { class: "number", title: fluency === null ? "" : `content ${fixed(gold - fluency, 1)}, fluency ${fixed(fluency, 1)}` }));
      row.dataset.probability = probability;
      row.dataset.proxy = proxy;
      return row;
    }));
    return true;
  }

  /* the law of gold */
  const spelled = (law) => (law ? law[1].map((value, i) => [data.bins.first + data.bins.width * (law[0] + i), value]) : []);
  function drawLaw(chosen) {
    const here = part();
    const law = state.seed === null ? chosen.laws[curve(chosen)] : (chosen.law[curve(chosen)] || [])[place(chosen)];
    $("law-part").hidden = !law || !here.reference;
    if ($("law-part").hidden) return false;
    const [own, reference] = [spelled(law), spelled(here.reference)];
    const seen = [...own, ...reference].filter(([, value]) => value > 0.002).map(([gold]) => gold);
    const [low, high] = [Math.min(...seen) - data.bins.width, Math.max(...seen) + data.bins.width];
    const most = 1.05 * Math.max(...own.map(([, value]) => value), ...reference.map(([, value]) => value));
    const box = { width: $("law").clientWidth || 320, height: 96 };
    const x = (gold) => ((gold - low) / (high - low)) * box.width;
    const y = (value) => box.height - 16 - (value / most) * (box.height - 20);
    const picture = svg("svg", { viewBox: `0 0 ${box.width} ${box.height}`, width: box.width, height: box.height, "aria-hidden": "true" });
    const half = data.bins.width / 2;
    for (const [gold, value] of own) picture.append(svg("rect", { x: x(gold - half) + 0.5, width: Math.max(1, x(gold + half) - x(gold - half) - 1), y: y(value), height: box.height - 16 - y(value), class: "lawbar", "data-gold": gold, "data-value": value }));
    const outline = reference.map(([gold, value], i) => `${i ? "L" : "M"}${x(gold - half)} ${y(value)}H${x(gold + half)}`).join("");
    picture.append(svg("path", { d: outline, class: "lawline" }), svg("path", { d: `M0 ${box.height - 16}H${box.width}`, class: "zero" }));
    for (const gold of nice(low, high, 6)) picture.append(svg("text", { x: x(gold), y: box.height - 3, class: "tick", "text-anchor": "middle" }, short(gold)));
    replace($("law"), [picture]);
    const mean = own.reduce((sum, [gold, value]) => sum + gold * value, 0);
    $("law").setAttribute("aria-label", `How gold is distributed under ${chosen.label}: its mean is about ${short(mean, 2)}, the reference's is 0.`);
    return true;
  }

  /* the table of the picture */
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
        short(value), fixed(means.kl[i]) + between(means.kl_low[i], means.kl_high[i]), fixed(means.gold[i]) + between(means.gold_low[i], means.gold_high[i]),
        ...(scored ? [fixed(means.proxy[i])] : []), chosen.counts[i],
      ];
      row.append(...cells.map((cell) => element("td", cell, { class: "number" })));
      return row;
    }));
    $("numbers").querySelector("summary").textContent = `The ends of training as a table: ${chosen.label}`;
  }

  /* the address says what is chosen, so that it can be linked */
  function remember(chosen) {
    const parts = new URLSearchParams();
    parts.set("show", chosen.name);
    if (!chosen.along) parts.set("beta", String(chosen.stops[stop()]));
    if (state.step !== null) parts.set("step", String(state.step));
    if (state.seed !== null && chosen.of > 1) parts.set("seed", String(state.seed));
    data.axes.forEach((axis, i) => { if (state.at[i] !== null) parts.set(axis.name, axis.values[state.at[i]]); });
    try { history.replaceState(null, "", `#${parts}`); } catch { /* an address that may not change, such as that of a preview */ }
  }
  function recall() {
    if (!location.hash.includes("=")) return;
    const parts = new URLSearchParams(location.hash.slice(1));
    const at = data.axes.map((axis) => (parts.has(axis.name) ? axis.values.indexOf(parts.get(axis.name)) : null));
    const there = data.parts.find((each) => each.at.every((value, i) => at[i] === null || at[i] < 0 || value === at[i]));
    if (there) state.at = there.at.slice();
    const number = (name) => (parts.has(name) && Number.isFinite(Number(parts.get(name))) ? Number(parts.get(name)) : null);
    [state.family, state.value, state.step, state.seed] = [parts.get("show"), number("beta"), number("step"), number("seed")];
  }

  const bestAt = (kl) => {
    const { kl: along, gold } = part().oracle;
    if (!along.length) return null;
    const root = Math.sqrt(Math.min(Math.max(kl, 0), Math.max(...along))); /* near the reference gold is linear in it */
    return atKl([[0, ...along.map(Math.sqrt)], [0, ...gold]], root);
  };
  let linked = false;
  function render() {
    queued = false;
    const chosen = family();
    const now = policy(chosen);
    readout(chosen, now);
    drawChart(chosen, now);
    drawSplit(chosen, now);
    const shown = [drawLaw(chosen), showResponses(chosen)];
    $("silent").hidden = shown.some(Boolean) || !(data.items.length > 0 || data.parts.some((each) => each.reference));
    if (linked && timer === null) remember(chosen);
  }
  const hoverLater = () => requestAnimationFrame(drawHover);
  const later = () => { if (!queued) { queued = true; requestAnimationFrame(render); } };
  const repaint = () => { showFamilies(); render(); };
  const touched = () => { linked = true; };

  $("stop").addEventListener("input", () => {
    touched();
    const chosen = family();
    state.stop = nearest(chosen.stops.map(strength), Number($("stop").value));
    state.value = chosen.stops[state.stop];
    later();
  });
  $("stop").addEventListener("change", () => moveTo(family(), stop()));
  $("stop").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 3, PageDown: -3, Home: -1e6, End: 1e6 }[event.key];
    if (by) { event.preventDefault(); touched(); step(by); }
  });
  $("step").addEventListener("input", () => {
    touched();
    pause();
    const chosen = family(), columns = pathOf(chosen), i = Number($("step").value);
    state.step = columns && i >= last(columns) ? null : times(chosen)[i];
    later();
  });
  $("play").addEventListener("click", () => { touched(); play(); });
  $("seed").addEventListener("change", () => { touched(); state.seed = $("seed").value === "" ? null : Number($("seed").value); render(); });
  $("scale").addEventListener("change", render);
  $("others").addEventListener("change", render);
  $("prompt").addEventListener("change", () => { state.prompt = Number($("prompt").value); render(); });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("controls").addEventListener("change", touched);
  $("frontier").addEventListener("pointermove", (event) => {
    if (!scales) return;
    const kl = scales.kl(event.clientX - $("frontier").getBoundingClientRect().left);
    const path = event.target.closest && event.target.closest(".other");
    state.hover = kl < 0 || kl > scales.most ? null : { kl, name: path ? path.dataset.family : null };
    hoverLater();
  });
  $("frontier").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 0.02, ArrowLeft: -0.02, PageUp: 0.1, PageDown: -0.1 }[event.key];
    if (event.key === "Escape") state.hover = null;
    else if (by) {
      event.preventDefault();
      const now = state.hover ? state.hover.kl : policy(family()).kl ?? 0;
      state.hover = { kl: Math.min(scales.most, Math.max(0, now + by * scales.most)), name: null };
    } else return;
    drawHover();
    $("crossing").textContent = [...document.querySelectorAll("#frontier .tipword")].map((each) => each.textContent).join(" ");
  });
  $("frontier").addEventListener("blur", () => { state.hover = null; hoverLater(); });
  window.addEventListener("hashchange", () => { if (location.hash.includes("=")) { recall(); fillAxes(); showPart(); } });
  $("frontier").addEventListener("pointerleave", () => { state.hover = null; hoverLater(); });
  dark.addEventListener("change", repaint);
  window.addEventListener("beforeprint", repaint);
  window.addEventListener("afterprint", repaint);
  new ResizeObserver(later).observe($("frontier"));
  recall();
  fillAxes();
  showPart();
})();
