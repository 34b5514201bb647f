"use strict";
/* The screen: what the controls say is trained, and shown as it comes. `state` is what a link holds. */
const Screen = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const { short, fixed, element, svg, replace, fill, ROOM } = Drawing;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const losses = Object.fromEntries(data.losses.map((loss) => [loss.name, loss]));
  const PARTS = ["chosen", "rejected", "never seen", "never seen, ungrammatical"];
  const PROMPT = (prompt) => prompt.map((token) => data.letters[token]).join(data.letters.some((letter) => letter.length > 1) ? " " : "");
  const SECONDS = 1.4; /* that a path takes at speed 1 */
  const KEPT = 6; /* old paths */

  const BETAS = [...new Set([10, 7, 5, 3, 2, 1.5, 1, 0.7, 0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01, 0.007, 0.005, 0.003, 0.002, 0.001, ...data.betas])].sort((a, b) => b - a);
  const start = { ...data.start };
  const state = { ...start };
  let trainer = null, oracle = null, best = null, frontier = null;
  let current = null, ghosts = [], guess = null, cross = null, hover = null;
  let shown = 0, playing = true, waits = false, before = 0, queued = false, linked = false, scales = null;

  /* words for what is set */
  const settingsOf = (from = state) => ({ loss: from.loss, beta: from.beta, pairs: from.pairs, noise: from.noise, rate: from.rate, steps: from.steps, fluency: from.fluency, online: from.online, ...(from.loss === "drawn" ? { shape: DrawnLoss.shape(from.handles) } : {}) });
  const seedsOf = (from = state) => Array.from({ length: from.seeds }, (_, i) => from.seed + i);
  const nameOf = (settings) => `${settings.loss === "drawn" ? "your own loss" : losses[settings.loss].label}, β ${short(settings.beta)}`;
  function difference(settings) { /* what sets it apart from how the page begins */
    const words = [[settings.pairs !== start.pairs, `${settings.pairs} pairs`], [settings.noise !== start.noise, `${100 * settings.noise} % flipped`], [settings.rate !== start.rate, `rate ${settings.rate}`], [settings.steps !== start.steps, `${settings.steps} steps`], [settings.fluency !== start.fluency, `fluency ${settings.fluency}`], [settings.online, "online"]];
    return [nameOf(settings), ...words.filter(([is]) => is).map(([, text]) => text)].join(", ");
  }
  const color = (name) => Drawing.readable(losses[name].color);

  /* training */
  const main = () => current && current.paths[0];
  const framesOf = (path) => path.frames;
  function trouble(text) { $("trouble").hidden = !text; $("trouble").textContent = text || ""; }
  function launch(settings, seeds, options, each) {
    const run = { settings, seeds, paths: seeds.map((seed) => ({ seed, frames: [], diverged: 0 })), done: false };
    const job = trainer.train(settings, seeds, (i, frame) => {
      if (frame.diverged) run.paths[i].diverged = frame.step; else run.paths[i].frames.push(frame);
      if (each) each(run);
    }, options);
    run.cancel = job.cancel;
    run.ended = job.ended.then((how) => {
      run.done = true;
      run.stopped = how.some((one) => one.cancelled);
      const failed = how.find((one) => one.error);
      if (failed) trouble(`Training failed: ${failed.error}`);
      if (each) each(run);
      return run;
    });
    return run;
  }
  const asks = () => state.lesson > 0 && !Lessons.answered(); /* a lesson's question comes before what it asks about */
  function restart({ keep = true } = {}) {
    if (!trainer) return;
    if (current) {
      current.cancel();
      if (keep && framesOf(main()).length > 2) addGhost(current);
    }
    guess = null;
    shown = 0;
    waits = $("predict").checked || asks();
    playing = !waits;
    trouble("");
    current = launch(settingsOf(), seedsOf(), {}, later);
    showPlay();
    later();
  }
  function addGhost(run) {
    const frames = framesOf(run.paths[0]);
    ghosts = [...ghosts, { name: difference(run.settings), loss: run.settings.loss, kl: frames.map((frame) => frame.kl), gold: frames.map((frame) => frame.gold) }].slice(-KEPT);
  }
  async function askOracle() {
    const settings = settingsOf(), { found } = await trainer.ask("oracle", { settings }).ended;
    if (found && settings.fluency === state.fluency) { oracle = found; later(); }
  }
  let asked = null;
  async function askBest() {
    if (asked) asked.cancel();
    asked = best = null;
    if (!state.width) { later(); return; }
    const job = (asked = trainer.ask("bestOfN", { settings: { ...settingsOf(), seed: state.seed, width: state.width } }));
    $("width").setAttribute("aria-busy", "true");
    const { found, cancelled, error } = await job.ended;
    if (asked !== job) return;
    $("width").removeAttribute("aria-busy");
    if (error) trouble(error);
    if (found && !cancelled) { best = found; later(); }
  }

  /* all beta: a ladder of policies at once; ends of training with an interval over seeds */
  let climbing = null;
  function stopLadder() {
    for (const run of climbing || []) run.cancel();
    climbing = null;
    $("ladder").textContent = "Train all β";
  }
  async function ladder() {
    if (climbing) { stopLadder(); later(); return; }
    const seeds = Array.from({ length: Math.max(4, state.seeds) }, (_, i) => state.seed + i), settings = settingsOf();
    const mine = (climbing = []), found = (frontier = { settings, rows: [], done: false });
    const show = () => {
      if (climbing !== mine) return;
      found.rows = mine.map((run) => ({ beta: run.settings.beta, ends: run.paths.map((path) => path.frames.at(-1)).filter((frame) => frame && frame.step === settings.steps) })).filter((row) => row.ends.length === seeds.length)
        .map(({ beta, ends }) => ({ beta, kl: Statistics.mean(ends.map((frame) => frame.kl)), ...Statistics.interval(ends.map((frame) => frame.gold)), count: ends.length }));
      $("ladder").textContent = `Stop (${found.rows.length} of ${data.betas.length})`;
      later();
    };
    show();
    for (const beta of data.betas) {
      const run = launch({ ...settings, beta }, seeds, { detail: false, every: true, last: true }, show);
      mine.push(run);
      if (trainer.where === "Python") await run.ended; /* one stack at a time */
      if (climbing !== mine) return;
    }
    await Promise.all(mine.map((run) => run.ended));
    if (climbing !== mine) return;
    show();
    found.done = true;
    stopLadder();
    later();
    document.body.dataset.ladder = found.rows.length;
    if (trainer.where === "Python") restart({ keep: false });
  }

  /* time */
  const length = () => (main() ? framesOf(main()).length : 0);
  const trained = () => Boolean(main() && (current.done || main().diverged || (length() && framesOf(main()).at(-1).step === current.settings.steps))); /* the thick one */
  const ended = () => trained() && shown >= length() - 1;
  const position = () => Math.max(0, Math.min(length() - 1, Math.floor(shown)));
  function tick(now) {
    queued = false;
    const passed = Math.min(0.1, (now - before) / 1000);
    before = now;
    if (playing && length()) {
      if (still.matches) shown = trained() ? length() - 1 : shown;
      else shown = Math.min(length() - 1, shown + (passed * data.frames * Number($("speed").value)) / SECONDS);
      if (ended()) { playing = false; showPlay(); }
    }
    render();
    if (playing && current && !ended()) later();
  }
  function later() { if (!queued) { queued = true; requestAnimationFrame(tick); } }
  function showPlay() { $("play").textContent = waits ? "▶ Play" : playing ? "❚❚ Pause" : ended() ? "▶ Replay" : "▶ Play"; }
  function play() {
    waits = false;
    if (!playing && ended()) shown = 0;
    playing = !playing;
    before = performance.now();
    showPlay();
    later();
  }
  function goTo(i) { playing = false; waits = false; shown = Math.max(0, Math.min(length() - 1, i)); showPlay(); later(); }

  /* the chart: gold over KL */
  function frameOfChart(box) {
    const far = [data.range.kl, ...[...ghosts, ...(frontier && frontier.rows.length ? [{ kl: frontier.rows.map((row) => row.kl) }] : [])].flatMap((each) => each.kl)];
    let low = data.range.low, high = Math.max(1.2, data.range.high, ...(oracle ? oracle.gold : []));
    for (const path of current ? current.paths : []) for (const frame of path.frames) { far.push(frame.kl); low = Math.min(low, frame.gold); }
    for (const ghost of ghosts) low = Math.min(low, ...ghost.gold);
    return Drawing.scalesOf(box, { most: Math.max(...far) * 1.05, bottom: low - 0.15, top: high * 1.1 });
  }
  const column = (frames, name) => frames.map((frame) => frame[name]);
  const line = (kl, gold, to) => Drawing.line(scales, kl, gold, to);
  const WIDE = 6.6; /* of a letter, about */
  let words = [];
  function word(x, y, text, more = {}) { /* inside the chart, wherever it is wanted */
    const anchor = more["text-anchor"] || "start", wide = text.length * WIDE, left = x - { start: 0, middle: wide / 2, end: wide }[anchor];
    const inside = Math.min(Math.max(left, ROOM.left + 3), Math.max(ROOM.left + 3, ROOM.left + scales.width - wide));
    let at = Math.max(y, ROOM.top + 10);
    for (const by of [0, -15, 15, -30, 30, -45, 45]) { /* where no other word is */
      const free = at + by > ROOM.top + 8 && at + by < ROOM.top + scales.height && !words.some((other) => Math.abs(other.y - at - by) < 14 && other.left < inside + wide && inside < other.left + other.wide);
      if (free) { at += by; break; }
    }
    words.push({ left: inside, wide, y: at });
    return svg("text", { class: "word", ...more, x: x + inside - left, y: at }, text);
  }
  function drawOracle() {
    if (!oracle) return [];
    const kl = [...oracle.kl, Math.max(scales.most, ...oracle.kl)], gold = [...oracle.gold, Math.max(...oracle.gold)];
    return [svg("path", { d: line(kl, gold), class: "oracle", id: "oracle" }), word(ROOM.left + 0.62 * scales.width, scales.y(Math.max(...gold)) + (scales.width < 420 ? 16 : -6), "best that any policy can do", { "text-anchor": "middle" })];
  }
  function drawGhosts() {
    return ghosts.flatMap((ghost, i) => {
      const end = ghost.kl.length - 1, path = svg("path", { d: line(ghost.kl, ghost.gold), class: "other ghost" });
      path.append(svg("title", {}, ghost.name));
      return [path, svg("circle", { cx: scales.x(ghost.kl[end]), cy: scales.y(ghost.gold[end]), r: 3, class: "ghostend" }), ...(i === ghosts.length - 1 ? [word(scales.x(ghost.kl[end]) - 5, scales.y(ghost.gold[end]) + 14, ghost.name, { "text-anchor": "end", class: "word pale" })] : [])];
    });
  }
  function drawFrontier() {
    if (!frontier || !frontier.rows.length) return [];
    const rows = [...frontier.rows].sort((a, b) => a.kl - b.kl), paint = color(frontier.settings.loss), kl = rows.map((row) => row.kl);
    const found = [svg("path", { d: Drawing.area(scales, kl, rows.map((row) => row.low), rows.map((row) => row.high)), class: "band", fill: paint }), svg("path", { d: line(kl, rows.map((row) => row.mean)), class: "across", stroke: paint })];
    for (const row of rows) {
      const dot = svg("circle", { cx: scales.x(row.kl), cy: scales.y(row.mean), r: 4.5, class: "end", fill: paint, "data-beta": row.beta });
      dot.append(svg("title", {}, `β ${short(row.beta)}: ends at ${fixed(row.kl)} nats with gold ${fixed(row.mean)}, 95 % interval ${fixed(row.low)} to ${fixed(row.high)}, ${row.count} seeds`));
      dot.addEventListener("click", (event) => { event.stopPropagation(); set({ beta: row.beta }); });
      found.push(svg("path", { d: `M${scales.x(row.kl)} ${scales.y(row.low)}V${scales.y(row.high)}`, class: "across", stroke: paint }), dot);
      found.push(word(scales.x(row.kl) + 6, scales.y(row.mean) - 7, `β ${short(row.beta)}`));
    }
    return found;
  }
  function drawBest() {
    if (!best) return [];
    const end = best.kl.length - 1;
    return [svg("path", { d: line(best.kl, best.gold), class: "bestofn", id: "bestofn" }), svg("path", { d: line(best.kl, best.proxy), class: "proxy bestproxy" }), word(scales.x(best.kl[end]) - 6, scales.y(best.gold[end]) - 6, `best of ${best.n[end]}, gold`, { "text-anchor": "end" }), word(scales.x(best.kl[end]) - 6, scales.y(best.proxy[end]) - 6, "the proxy's opinion of it", { "text-anchor": "end" })];
  }
  function drawPaths() {
    if (!current) return [];
    const paint = color(current.settings.loss), found = [], here = position();
    const step = length() ? framesOf(main())[here].step : 0;
    for (const path of current.paths.slice(1)) {
      const frames = path.frames.filter((frame) => frame.step <= step);
      if (frames.length) found.push(svg("path", { d: line(column(frames, "kl"), column(frames, "gold")), class: "seed", stroke: paint }), svg("circle", { cx: scales.x(frames.at(-1).kl), cy: scales.y(frames.at(-1).gold), r: 3, class: "seedend", fill: paint }));
    }
    if (!length()) return found;
    const frames = framesOf(main()).slice(0, here + 1), kl = column(frames, "kl"), gold = column(frames, "gold");
    found.push(svg("path", { d: line(kl, column(frames, "proxy")), class: "proxy", stroke: paint, id: "opinion" }), svg("path", { d: line(kl, gold), class: "path", stroke: paint, id: "walked" }));
    const top = gold.reduce((most, value, i) => (value > gold[most] ? i : most), 0);
    if (here > top + 4) found.push(svg("circle", { cx: scales.x(kl[top]), cy: scales.y(gold[top]), r: 5, class: "peak", stroke: paint }), word(scales.x(kl[top]), scales.y(gold[top]) - 10, "peak", { "text-anchor": "middle" }));
    const at = kl.length - 1;
    if (at > 6 && scales.y(frames[at].proxy) > ROOM.top + 12) found.push(word(scales.x(kl[at]) - 6, scales.y(frames[at].proxy) - 6, "its own opinion of itself", { "text-anchor": "end" }));
    found.push(svg("circle", { cx: scales.x(kl[at]), cy: scales.y(gold[at]), r: 8, class: "now", fill: paint, id: "now", "data-kl": kl[at], "data-gold": gold[at], "data-step": frames[at].step }));
    return found;
  }
  function drawGuess(box) {
    const found = [];
    if (guess) found.push(svg("circle", { cx: scales.x(guess.kl), cy: scales.y(guess.gold), r: 7, class: "guessmark" }), svg("circle", { cx: scales.x(guess.kl), cy: scales.y(guess.gold), r: 2 }), word(scales.x(guess.kl) + 10, scales.y(guess.gold) + 4, "your guess"));
    if (cross) found.push(svg("path", { d: `M${scales.x(cross.kl)} ${ROOM.top}V${box.height - ROOM.bottom}M${ROOM.left} ${scales.y(cross.gold)}H${box.width - ROOM.right}`, class: "cross" }), word(scales.x(cross.kl) + 6, scales.y(cross.gold) - 6, `KL ${fixed(cross.kl, 1)}, gold ${fixed(cross.gold)}`));
    return found;
  }
  const at = (kl, gold, where) => { for (let i = 1; i < kl.length; i += 1) if (kl[i - 1] <= where && where <= kl[i]) return gold[i - 1] + ((where - kl[i - 1]) / (kl[i] - kl[i - 1] || 1)) * (gold[i] - gold[i - 1]); return null; };
  const bestAt = (kl) => (oracle ? at(oracle.kl.map(Math.sqrt), oracle.gold, Math.sqrt(Math.max(0, kl))) ?? Math.max(...oracle.gold) : null);
  function valuesAt(kl) {
    const frames = length() ? framesOf(main()).slice(0, position() + 1) : [];
    const rows = [["best possible", bestAt(kl)], ["this policy", at(column(frames, "kl"), column(frames, "gold"), kl)], ["its own opinion", at(column(frames, "kl"), column(frames, "proxy"), kl)]];
    if (best) rows.push(["best of n", at(best.kl, best.gold, kl)], ["its proxy", at(best.kl, best.proxy, kl)]);
    if (frontier && frontier.rows.length) rows.push(["ends across β", at(...["kl", "mean"].map((name) => [...frontier.rows].sort((a, b) => a.kl - b.kl).map((row) => row[name])), kl)]);
    for (const ghost of ghosts.slice(-3)) rows.push([ghost.name, at(ghost.kl, ghost.gold, kl)]);
    return rows.filter(([, gold]) => gold !== null);
  }
  function drawHover(box) {
    if (hover === null) return [];
    return Drawing.tip(scales, box, hover, [[`KL ${fixed(hover, 1)} nats`, "", true], ...valuesAt(hover).map(([name, gold], i) => [name, fixed(gold), i === 1])]);
  }
  function drawChart() {
    const chart = $("chart"), box = { width: chart.clientWidth || 600, height: chart.clientHeight || 420 };
    scales = frameOfChart(box);
    words = [];
    const picture = svg("svg", { viewBox: `0 0 ${box.width} ${box.height}`, width: box.width, height: box.height, "aria-hidden": "true" });
    const clip = svg("clipPath", { id: "inside" }), inside = svg("g", { "clip-path": "url(#inside)" });
    clip.append(svg("rect", { x: ROOM.left - 8, y: 0, width: scales.width + ROOM.right + 8, height: ROOM.top + scales.height + 2 }));
    inside.append(...drawOracle(), ...drawGhosts(), ...drawFrontier(), ...drawBest(), svg("rect", { x: scales.x(0) - 4, y: scales.y(0) - 4, width: 8, height: 8, class: "start" }), word(scales.x(0) + 8, scales.y(0) + 15, "reference"), ...(waits ? [] : drawPaths()), ...drawMean());
    if (frontier && frontier.rows.length) inside.classList.add("across-betas");
    picture.append(clip, ...Drawing.axes(scales, box), inside, ...drawGuess(box), ...drawHover(box));
    replace(chart, [picture]);
  }

  /* where a policy ends, as a mean over seeds */
  function meanEnd() {
    if (!current || !current.done) return null;
    const ends = current.paths.map((path) => path.frames.at(-1)).filter((frame) => frame && frame.step === current.settings.steps);
    return ends.length > 1 ? { kl: Statistics.mean(ends.map((frame) => frame.kl)), gold: Statistics.mean(ends.map((frame) => frame.gold)), count: ends.length } : null;
  }
  function drawMean() {
    const found = ended() && !waits && !(frontier && frontier.rows.length) ? meanEnd() : null;
    if (!found) return [];
    const paint = color(current.settings.loss);
    return [svg("circle", { cx: scales.x(found.kl), cy: scales.y(found.gold), r: 7, class: "meanend", stroke: paint, id: "mean-end" }), word(scales.x(found.kl) + 11, scales.y(found.gold) + 4, `mean of ${found.count} seeds`)];
  }

  /* panels */
  const frameNow = () => (length() ? framesOf(main())[waits ? 0 : position()] : null);
  function showSaid(frame) {
    const rows = frame && frame.said ? [...frame.said[state.prompt] || frame.said[0]].sort((a, b) => b.policy - a.policy || b.reference - a.reference) : [];
    replace($("said"), rows.slice(0, 7).map((row) => {
      const made = element("tr", null, { "data-part": row.part });
      const cell = Drawing.response(row.tokens.map((token) => data.letters[token]), (i) => (row.breaks >> Math.min(i, 7)) & 1);
      const seen = row.chosen + row.rejected ? `chosen ${row.chosen}, rejected ${row.rejected}` : "in no pair";
      cell.append(element("span", seen, { class: `seen part${row.part}` }));
      made.append(cell, Drawing.moved(row.reference, row.policy), element("td", fixed(row.gold, 1), { class: "number", title: `content ${fixed(row.gold - row.fluency, 1)}, fluency ${fixed(row.fluency, 1)}` }));
      return made;
    }));
    $("said-note").textContent = `${rows.some((row) => row.breaks) ? "Underlined letters break the grammar. " : ""}Dots: its probability, on a logarithmic scale from 0.000001 to 1. “Chosen 2”: two pairs have it as the chosen response.`;
  }
  function showMass(frame) {
    const mass = frame && frame.mass ? frame.mass : null;
    if (!mass) { replace($("mass"), []); return; }
    const bar = element("div", null, { class: "stack", "aria-hidden": "true" });
    mass.forEach((value, i) => { const part = element("i", null, { class: `part${i}` }); part.style.width = `${100 * value}%`; bar.append(part); });
    const list = element("dl", null, { class: "masses" });
    PARTS.forEach((name, i) => { const row = element("div"); row.append(element("dt", name, { class: `part${i}` }), element("dd", `${fixed(100 * mass[i], 1)} %`, { id: `mass-${i}` })); list.append(row); });
    replace($("mass"), [bar, list]);
  }
  function showNumbers(frame) {
    const rows = frame ? [["training loss", short(frame.loss)], ["pairs in the right order", `${Math.round(100 * frame.accuracy)} %`], ["log π/π_ref of chosen", `${fixed(frame.chosen, 1)} nats`], ["log π/π_ref of rejected", `${fixed(frame.rejected, 1)} nats`], ["squared loss ½ E ρ²", short(frame.muSquared)], ["entropy", `${fixed(frame.entropy, 2)} nats`]] : [];
    replace($("numbers"), rows.map(([name, value]) => { const row = element("div"); row.append(element("dt", name), element("dd", value)); return row; }));
    const content = frame ? frame.gold - frame.fluency : 0;
    replace($("split"), frame ? Drawing.bars([["content", content, "split-content"], ["fluency", frame.fluency, "split-fluency"], ["gold", frame.gold, "split-gold"]], 2) : []);
  }

  /* what happened, in a sentence */
  function sentence() {
    if (waits) return asks() ? "This policy is trained, and waits for your prediction." : "Click in the chart where you think this policy will end, or press play.";
    if (frontier && frontier.done && frontier.rows.length && !playing) return frontierText();
    if (!current && best) return bestText();
    const frame = frameNow();
    if (!frame) return "The policy begins as the reference.";
    const frames = framesOf(main()), name = nameOf(current.settings);
    if (!ended()) return `${name}, step ${frame.step}: KL ${fixed(frame.kl)} nats, gold ${fixed(frame.gold)}${oracle ? ` of at most ${fixed(bestAt(frame.kl))}` : ""}; training loss ${short(frame.loss)}.`;
    if (main().diverged) return `${name} diverged at step ${main().diverged}: its numbers left what a computer can hold. A smaller learning rate helps, or another β.`;
    const top = frames.reduce((most, each) => (each.gold > most.gold ? each : most)), end = frames.at(-1), first = frames[0];
    const rise = top.step ? `gold rose to ${fixed(top.gold)} at ${fixed(top.kl, 1)} nats (step ${top.step}), then fell` : "gold fell";
    const story = top.gold - end.gold > 0.05 ? `${rise} to ${fixed(end.gold)} at ${fixed(end.kl, 1)} nats` : `gold ${end.gold > 0.05 ? "rose to" : end.gold < -0.05 ? "fell to" : "stayed at"} ${fixed(end.gold)} at ${fixed(end.kl, 1)} nats`;
    const meanwhile = end.loss < first.loss ? ` Meanwhile the training loss went from ${short(first.loss)} to ${short(end.loss, 2)}.` : "";
    return `${name}: ${story}${oracle ? `; the best policy has ${fixed(bestAt(end.kl))} there` : ""}.${meanwhile}${over()}`;
  }
  function frontierText() {
    const rows = [...frontier.rows].sort((a, b) => b.mean - a.mean), told = (row) => `${fixed(row.mean)} ± ${fixed(row.half)} at β ${short(row.beta)} (${fixed(row.kl, 1)} nats)`;
    return `${losses[frontier.settings.loss].label} at ${rows.length} β, ${rows[0].count} seeds each: the most gold at the end is ${told(rows[0])}, the least ${told(rows.at(-1))}. Which β is best shows only in gold, which training never sees.`;
  }
  function bestText() {
    const top = best.gold.indexOf(Math.max(...best.gold)), end = best.gold.length - 1;
    return `Best of n by a proxy of width ${best.width}: gold is highest, ${fixed(best.gold[top])}, for the best of ${best.n[top]} (${fixed(best.kl[top], 1)} nats); the best of ${best.n[end]} has ${fixed(best.gold[end])}, while the proxy's own score is highest there.`;
  }
  function over() { /* all seeds that are shown */
    if (!current.done) return "";
    const paths = current.paths.filter((path) => !path.diverged && path.frames.length && path.frames.at(-1).step === current.settings.steps);
    if (paths.length < 2) return "";
    const gold = Statistics.interval(paths.map((path) => path.frames.at(-1).gold)), fall = Statistics.interval(Statistics.falls(paths));
    return ` Over ${paths.length} seeds it ends at ${fixed(gold.mean)} ± ${fixed(gold.half)}, ${fall.mean > fall.half ? `${fixed(fall.mean)} ± ${fixed(fall.half)} below its peak` : "and a fall is not sure"}.${best ? ` The best of n by the proxy reaches ${fixed(Math.max(...best.gold))}.` : ""}`;
  }
  function bridge() {
    if (!current || !ended() || main().diverged) return "";
    const { settings, seeds } = current, end = framesOf(main()).at(-1);
    if (trainer.where === "Python") return "Python trained this policy as you watched.";
    const same = ["pairs", "noise", "rate", "steps", "fluency"].every((key) => settings[key] === start[key]) && !settings.online;
    const known = same ? data.python[`${settings.loss} ${settings.beta} ${seeds[0]}`] : null;
    if (known) return `The same run in Python ends at KL ${fixed(known[0], 3)} with gold ${fixed(known[1], 3)}; here at ${fixed(end.kl, 3)} with ${fixed(end.gold, 3)}. They agree to 0.001 at first. Later, differences in the last digit grow, as they do between two machines.`;
    return "“Run this as a sweep” gives the file with which Python trains the same policy.";
  }
  function guessText() {
    if (!guess && waits && (!asks() || Lessons.wantsClick())) return `Where will ${nameOf(settingsOf())} end? Click in the chart.`;
    if (!guess) return !current && best ? `Best of n by a proxy of width ${best.width}` : nameOf(current && !waits ? current.settings : settingsOf());
    if (!ended() || !current.done) return `Your guess: KL ${fixed(guess.kl, 1)} nats, gold ${fixed(guess.gold)}.`;
    if (main().diverged) return "It diverged, so it ends nowhere.";
    const end = meanEnd() || framesOf(main()).at(-1), far = Math.abs(guess.kl - end.kl), off = Math.abs(guess.gold - end.gold);
    return `Your guess is off by ${fixed(far, 1)} nats and ${fixed(off)} sd of gold${end.count ? " from the mean of the seeds" : ""}.`;
  }
  let spoken = "";
  function render() {
    const frame = frameNow();
    drawChart();
    showSaid(frame);
    showMass(frame);
    showNumbers(frame);
    const text = sentence();
    $("sentence").textContent = text;
    $("clear").hidden = !ghosts.length && !frontier;
    $("bridge").textContent = bridge();
    const told = guessText();
    if (told !== spoken) { spoken = told; $("guess-text").textContent = told; }
    $("time").max = Math.max(1, length() - 1);
    $("time").value = position();
    $("time-value").textContent = frame ? frame.step : 0;
    if (frame) $("time").setAttribute("aria-valuetext", `step ${frame.step}, KL ${fixed(frame.kl, 1)} nats, gold ${fixed(frame.gold)}`);
    $("chart").setAttribute("aria-label", `Gold against KL. ${text}`);
    document.body.dataset.state = ended() ? "ended" : waits ? "waiting" : "training";
    if (linked && ended()) remember();
  }

  /* what is set, without training; and all of it anew, as a lesson begins */
  function adopt(changes) {
    const before = state.fluency;
    Object.assign(state, changes);
    linked = true;
    Controls.show();
    remember();
    if (state.fluency !== before) { oracle = null; askOracle(); }
  }
  function begin(changes) {
    stopLadder();
    if (asked) asked.cancel();
    asked = null;
    adopt(changes);
    ghosts = [];
    frontier = best = null;
    restart({ keep: false });
  }
  function showBest(found, name) { /* in place of a path; name: of what was shown before, and stays */
    if (best && name) ghosts = [{ name, kl: best.kl, gold: best.gold }];
    if (current) current.cancel();
    current = guess = null;
    best = found;
    later();
  }

  /* a change of the controls trains again */
  const WORLDLY = ["fluency"], PROXY = ["width", "pairs", "noise", "seed", "fluency"];
  function set(changes) {
    const changed = Object.keys(changes).filter((key) => JSON.stringify(state[key]) !== JSON.stringify(changes[key]));
    Object.assign(state, changes);
    linked = true;
    Controls.show();
    if (changed.some((key) => !["beta", "prompt", "width", "lesson", "seed"].includes(key))) { stopLadder(); frontier = null; }
    if (changed.some((key) => WORLDLY.includes(key))) { oracle = null; frontier = null; askOracle(); }
    if (changed.some((key) => PROXY.includes(key))) askBest();
    if (changed.some((key) => !["prompt", "width", "lesson"].includes(key))) restart();
    else later();
    remember();
  }
  function remember() {
    const parts = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) if (JSON.stringify(value) !== JSON.stringify(start[key])) parts.set(key, Array.isArray(value) ? value.join(",") : String(value));
    try { history.replaceState(null, "", `#${parts}`); } catch { /* an address that may not change, such as that of a preview */ }
  }
  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1)), found = { ...start };
    for (const [key, value] of parts) if (key in start) {
      if (Array.isArray(start[key])) { const list = value.split(",").map(Number); if (list.length === start[key].length && list.every(Number.isFinite)) found[key] = list; }
      else if (typeof start[key] !== "number") found[key] = value;
      else if (Number.isFinite(Number(value))) found[key] = Number(value);
    }
    const inside = (value, low, high) => Math.min(high, Math.max(low, value));
    if (!losses[found.loss]) found.loss = start.loss;
    if (!(found.beta > 0)) found.beta = start.beta;
    found.beta = inside(found.beta, 1e-4, 100); found.pairs = inside(Math.round(found.pairs), 2, 8192); found.noise = inside(found.noise, 0, 0.5); found.rate = inside(found.rate, 1e-5, 0.3);
    found.steps = inside(Math.round(found.steps), 10, 5000); found.seed = inside(Math.round(found.seed), 0, 9999); found.seeds = inside(Math.round(found.seeds), 1, 16); found.fluency = data.gold.fluency ? inside(found.fluency, 0, 10) : 0;
    found.online = found.online ? data.online.refresh : 0; found.width = data.widths.includes(found.width) ? found.width : 0; found.lesson = data.lessons.some((lesson) => lesson.id === found.lesson) ? found.lesson : 0; found.prompt = inside(Math.round(found.prompt), 0, data.prompts.length - 1);
    if (!DrawnLoss.isFalling(found.handles)) found.handles = start.handles;
    Object.assign(state, found);
  }

  /* the chart answers to pointer and keys: guess, and values at a KL */
  function place(event) {
    const box = $("chart").getBoundingClientRect();
    return { kl: scales.kl(event.clientX - box.left), gold: scales.gold(event.clientY - box.top) };
  }
  const inChart = ({ kl, gold }) => kl >= 0 && kl <= scales.most && gold >= scales.bottom && gold <= scales.top;
  function takeGuess(where) {
    if (!inChart(where)) return;
    guess = where;
    if (waits && !asks()) { waits = false; playing = true; before = performance.now(); showPlay(); }
    later();
  }
  function listen() {
    const chart = $("chart");
    chart.addEventListener("pointermove", (event) => { if (!scales || event.pointerType === "touch") return; const where = place(event); hover = inChart(where) ? where.kl : null; later(); });
    chart.addEventListener("pointerleave", () => { hover = null; later(); });
    chart.addEventListener("click", (event) => takeGuess(place(event)));
    chart.addEventListener("keydown", (event) => {
      const by = { ArrowRight: [0.02, 0], ArrowLeft: [-0.02, 0], ArrowUp: [0, 0.02], ArrowDown: [0, -0.02], PageUp: [0, 0.1], PageDown: [0, -0.1] }[event.key];
      if (event.key === "Escape") { cross = null; hover = null; later(); return; }
      if (event.key === "Enter" && cross) { event.preventDefault(); takeGuess(cross); return; }
      if (!by) return;
      event.preventDefault();
      const from = cross || { kl: scales.most / 2, gold: 0.5 };
      cross = { kl: Math.min(scales.most, Math.max(0, from.kl + by[0] * scales.most)), gold: Math.min(scales.top, Math.max(scales.bottom, from.gold + by[1] * (scales.top - scales.bottom))) };
      hover = cross.kl;
      $("cross-text").textContent = `KL ${fixed(cross.kl, 1)} nats, gold ${fixed(cross.gold)}. ${valuesAt(cross.kl).map(([name, gold]) => `${name} ${fixed(gold)}`).join(", ")}.`;
      later();
    });
    chart.addEventListener("blur", () => { cross = null; hover = null; later(); });
    document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); chart.focus(); });
    $("play").addEventListener("click", play);
    $("single").addEventListener("click", () => goTo(position() + 1));
    $("reset").addEventListener("click", () => restart({ keep: false }));
    $("time").addEventListener("input", () => goTo(Number($("time").value)));
    $("ladder").addEventListener("click", ladder);
    $("clear").addEventListener("click", () => { stopLadder(); ghosts = []; frontier = null; later(); });
    $("predict").addEventListener("change", () => restart({ keep: false }));
    window.addEventListener("hashchange", () => { const was = { ...state }; recall(); if (JSON.stringify(was) !== JSON.stringify(state)) { Controls.show(); Lessons.show(); askOracle(); askBest(); restart(); } });
    Drawing.dark.addEventListener("change", () => { Controls.paint(); later(); });
    window.addEventListener("beforeprint", render);
    window.addEventListener("afterprint", render);
    new ResizeObserver(later).observe(chart);
  }
  async function open() {
    fill($("prompt"), data.prompts.map((prompt, i) => [i, PROMPT(prompt)]), 0);
    $("prompt").addEventListener("change", () => set({ prompt: Number($("prompt").value) }));
    recall();
    Controls.open();
    listen();
    render();
    try { trainer = await Trainers.open(data); } catch (error) {
      trouble(`This browser cannot run the compiled engine (${error.message}). A browser of 2023 or later can; or run: alignment-simulator playground --serve`);
      return;
    }
    askOracle();
    restart({ keep: false });
    if (state.width) askBest();
    Lessons.open();
  }
  return {
    data, state, losses, BETAS, open, set, later, settingsOf, seedsOf,
    adopt, begin, showBest,
    stack: (settings, seeds, each) => launch(settings, seeds, {}, each),
    show(run) { if (current && current !== run) current.cancel(); current = run; guess = null; shown = 0; waits = false; playing = true; before = performance.now(); showPlay(); later(); },
    addGhost, clear() { stopLadder(); ghosts = []; frontier = null; later(); },
    guess: () => guess,
    playing: () => playing,
    trainer: () => trainer, current: () => current,
    keepGuess(where) { guess = where; later(); },
  };
})();
