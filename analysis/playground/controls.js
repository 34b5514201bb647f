"use strict";
/* The controls: what may be set, the pad on which a loss is drawn, and what can be taken away as text. */
const Controls = (() => {
  const { data, state, losses, BETAS } = Screen;
  const { short, fixed, element, svg, replace, fill } = Drawing;
  const $ = (id) => document.getElementById(id);
  let draft = state.handles; /* handles while they are moved */
  const near = (values, wanted) => values.reduce((best, value, i) => (Math.abs(Math.log(value / wanted)) < Math.abs(Math.log(values[best] / wanted)) ? i : best), 0);
  const choices = (values, own, text) => [...new Set([...values, own])].sort((a, b) => a - b).map((value) => [value, text(value)]);

  const SELECTS = {
    pairs: () => choices([16, 32, 64, 128, 256, 512, 1024, 2048], state.pairs, (value) => value.toLocaleString("en")),
    noise: () => choices([0, 0.1, 0.2, 0.3, 0.4], state.noise, (value) => `${Math.round(100 * value)} %`),
    rate: () => choices([0.0003, 0.001, 0.003, 0.01, 0.03], state.rate, String),
    steps: () => choices([100, 300, 600, 1200, 2400], state.steps, (value) => value.toLocaleString("en")),
    seeds: () => choices([1, 4, 8], state.seeds, (value) => (value === 1 ? "1" : `${value}, one thick`)),
    fluency: () => (data.gold.fluency ? choices([0, 0.5, 1, 2], state.fluency, (value) => (value ? `weight ${value}` : "none")) : [[0, "none"]]),
    online: () => [[0, "no"], [data.online.refresh, `every ${data.online.refresh} steps`]],
    width: () => [[0, "none"], ...data.widths.map((width) => [width, `proxy of width ${width}`])],
  };

  const mark = (loss) => { const made = Drawing.swatch(Drawing.readable(loss.color), loss.dash); made.setAttribute("width", 14); return made; };
  function showLosses() {
    $("losses").classList.toggle("many", data.losses.length > 12);
    replace($("losses"), data.losses.map((loss) => {
      const label = element("label"), radio = element("input", null, { type: "radio", name: "loss" });
      radio.value = loss.name;
      radio.checked = loss.name === state.loss;
      radio.addEventListener("change", () => Screen.set({ loss: loss.name, ...(loss.name === "drawn" ? { handles: handlesOf(state.loss) } : {}) }));
      label.append(radio, mark(loss), element("span", loss.label));
      return label;
    }));
  }
  function paint() { showLosses(); show(); }
  const handlesOf = (name) => (losses[name].values && name !== "drawn" ? DrawnLoss.from(losses[name].values.filter((_, i) => i % 2 === 0)) : state.handles);
  function show() {
    for (const radio of $("losses").querySelectorAll("input")) radio.checked = radio.value === state.loss;
    $("loss-note").textContent = losses[state.loss].note;
    $("beta").value = near(BETAS, state.beta);
    $("beta-value").textContent = short(state.beta);
    $("beta").setAttribute("aria-valuetext", `β ${short(state.beta)}, ${state.beta >= 0.5 ? "a strong hold" : state.beta > 0.05 ? "a middling hold" : "a weak hold"}`);
    for (const [name, options] of Object.entries(SELECTS)) fill($(name), options(), state[name]);
    $("seed").value = state.seed;
    $("prompt").value = state.prompt;
    draft = state.handles;
    showPad();
  }

  /* the pad */
  const PAD = { width: 250, height: 128, left: 24, right: 6, top: 8, bottom: 22 };
  const x = (z) => PAD.left + ((z + 4) / 10) * (PAD.width - PAD.left - PAD.right);
  const y = (f) => PAD.height - PAD.bottom - ((f + 0.5) / 6) * (PAD.height - PAD.top - PAD.bottom);
  const valueAt = (place) => ((PAD.height - PAD.bottom - place) / (PAD.height - PAD.top - PAD.bottom)) * 6 - 0.5;
  let held = null;
  function curve() {
    if (state.loss === "drawn") { const made = DrawnLoss.shape(draft); return Array.from({ length: 101 }, (_, i) => [-4 + i / 10, DrawnLoss.at(made, -4 + i / 10).value]); }
    return (losses[state.loss].values || []).map((value, i) => [-4 + i / 2, value]);
  }
  function showPad() {
    const pad = $("pad"), drawing = state.loss === "drawn", points = curve();
    $("pad-part").hidden = !points.length;
    $("pad-buttons").hidden = !drawing;
    pad.classList.toggle("drawing", drawing);
    pad.setAttribute("viewBox", `0 0 ${PAD.width} ${PAD.height}`);
    const clip = svg("clipPath", { id: "inpad" });
    clip.append(svg("rect", { x: PAD.left, y: PAD.top, width: PAD.width - PAD.left - PAD.right, height: PAD.height - PAD.top - PAD.bottom }));
    const found = [clip];
    for (const value of [0, 2, 4]) found.push(svg("path", { d: `M${PAD.left} ${y(value)}H${PAD.width - PAD.right}`, class: "grid" }), svg("text", { x: PAD.left - 5, y: y(value) + 4, "text-anchor": "end", class: "tick" }, String(value)));
    for (const z of [-4, 0, 4]) found.push(svg("text", { x: x(z), y: PAD.height - 8, "text-anchor": "middle", class: "tick" }, short(z)));
    found.push(svg("path", { d: `M${x(0)} ${PAD.top}V${PAD.height - PAD.bottom}`, class: "zero" }), svg("text", { x: PAD.width - PAD.right, y: PAD.height - 8, "text-anchor": "end", class: "tick" }, "z = βρ"));
    const color = Drawing.readable(losses[state.loss].color);
    found.push(svg("path", { d: points.map(([z, f], i) => `${i ? "L" : "M"}${x(z).toFixed(1)} ${y(f).toFixed(1)}`).join(""), class: "padline", stroke: color, "clip-path": "url(#inpad)" }));
    if (drawing) {
      found.push(svg("path", { d: draft.map((f, k) => `${k ? "L" : "M"}${x(DrawnLoss.z[k])} ${y(f)}`).join(""), class: "polygon", "clip-path": "url(#inpad)" }));
      draft.forEach((f, k) => found.push(handle(f, k)));
    }
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.handle : undefined;
    replace(pad, found);
    if (focused !== undefined) { const again = pad.querySelector(`[data-handle="${focused}"]`); if (again) again.focus({ preventScroll: true }); }
    $("pad-facts").textContent = facts();
  }
  function handle(f, k) {
    const value = Math.min(5.4, f), made = svg("circle", {
      cx: x(DrawnLoss.z[k]), cy: y(value), r: 6, class: "handle", tabindex: 0, role: "slider", "data-handle": k, "aria-label": `f at z = ${DrawnLoss.z[k]}`,
      "aria-valuenow": fixed(f), "aria-valuemin": -2, "aria-valuemax": DrawnLoss.HIGHEST, "aria-orientation": "vertical",
    });
    made.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 0.05, ArrowDown: -0.05, PageUp: 0.5, PageDown: -0.5, Home: -20, End: 20 }[event.key];
      if (!by) return;
      event.preventDefault();
      pull(k, Math.min(DrawnLoss.HIGHEST, Math.max(-2, draft[k] + by)));
      settle();
    });
    return made;
  }
  let limit = "";
  function pull(k, value) {
    const wanted = Math.min(DrawnLoss.HIGHEST, Math.max(-2, Math.round(value * 100) / 100)), convex = $("convex").checked;
    draft = DrawnLoss.moved(draft, k, wanted, convex);
    limit = Math.abs(draft[k] - wanted) < 0.02 ? "" : `It stops here: beyond, f would not ${convex && Math.abs(DrawnLoss.moved(draft, k, wanted, false)[k] - wanted) < 0.02 ? "be convex" : "fall at 0"}. `;
    showPad();
  }
  let settling = null;
  function settle() { clearTimeout(settling); settling = setTimeout(() => Screen.set({ handles: draft }), 250); }
  function facts() {
    const local = state.loss === "drawn" ? DrawnLoss.local(draft) : losses[state.loss].slope !== undefined ? { slope: losses[state.loss].slope, bend: losses[state.loss].curvature, kappa: losses[state.loss].curvature / -losses[state.loss].slope } : null;
    if (!local) return "";
    const held = local.kappa * state.beta, beta = (kappa) => short(held / kappa, 2);
    const same = local.kappa > 0 ? ` Near the reference it holds the policy back as strongly as DPO at β ${beta(0.5)} or IPO at β ${beta(1)}.` : local.kappa < 0 ? " It bends downwards at 0: a margin that has grown is pushed on the more." : ` It does not bend at 0: near the reference nothing holds the policy back${state.loss === "hinge" ? ", until a margin is 1/β" : ""}.`;
    return `${state.loss === "drawn" ? limit : ""}f′(0) = ${fixed(local.slope)}, f″(0) = ${fixed(local.bend)}, κ = f″/|f′| = ${fixed(local.kappa)}.${same}${state.loss === "hinge" ? "" : " The hinge (SLiC) has κ = 0."}`;
  }
  function listenToPad() {
    const pad = $("pad");
    pad.addEventListener("pointerdown", (event) => { /* the nearest point, so that a finger finds it */
      if (state.loss !== "drawn") return;
      const box = pad.getBoundingClientRect(), z = ((((event.clientX - box.left) / box.width) * PAD.width - PAD.left) / (PAD.width - PAD.left - PAD.right)) * 10 - 4;
      const k = Math.min(DrawnLoss.z.length - 1, Math.max(0, Math.round(z - DrawnLoss.z[0])));
      if (Math.abs(y(Math.min(5.4, draft[k])) - ((event.clientY - box.top) / box.height) * PAD.height) > 24) return;
      event.preventDefault();
      held = k;
      pad.setPointerCapture(event.pointerId);
      pad.querySelector(`[data-handle="${k}"]`).focus({ preventScroll: true });
    });
    pad.addEventListener("pointermove", (event) => { if (held === null) return; const box = pad.getBoundingClientRect(); pull(held, valueAt(((event.clientY - box.top) / box.height) * PAD.height)); });
    const release = () => { if (held !== null) { held = null; settle(); } };
    pad.addEventListener("pointerup", release);
    pad.addEventListener("pointercancel", release);
    $("convex").addEventListener("change", () => { if ($("convex").checked && !DrawnLoss.isConvex(draft)) { draft = handlesOf("logistic"); settle(); } showPad(); });
    $("copy-loss").addEventListener("click", () => offer("mine.py", "Save this beside a sweep file; its loss is then “mine.py:drawn”.", DrawnLoss.python(draft)));
  }

  /* text to take away */
  function offer(title, about, code) {
    $("dialog-title").textContent = title;
    $("dialog-text").textContent = about;
    $("dialog-code").textContent = code;
    $("dialog-copy").textContent = "Copy";
    $("dialog").showModal();
  }
  async function copied(text, button, done) {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = element("textarea", null, { readonly: "" });
      area.value = text;
      ($("dialog").open ? $("dialog") : document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const before = button.textContent;
    button.textContent = done;
    setTimeout(() => { button.textContent = before; }, 1500);
  }
  const toml = (value) => (Array.isArray(value) ? `[${value.map(toml).join(", ")}]` : typeof value === "number" && !Number.isInteger(value) ? String(value).replace(/^(\d+)e/, "$1.0e") : JSON.stringify(value));
  function sweepFile() {
    const tables = structuredClone(data.tables), put = (table, key, value) => { tables[table] = { ...tables[table], [key]: value }; };
    put("gold", "fluency", state.fluency);
    put("data", "pairs", state.pairs);
    put("data", "label_noise", state.noise);
    put("train", "learning_rate", state.rate);
    put("train", "steps", state.steps);
    if (state.online) { put("online", "refresh", state.online); put("online", "pairs", data.online.pairs); }
    const loss = state.loss === "drawn" ? "mine.py:drawn" : state.loss, last = Math.max(...Screen.seedsOf());
    tables.sweep = { method: ["gpo"], loss: [loss], beta: [state.beta], seeds: last + 1 };
    if (state.width) { tables.sweep.method.push("best_of_n"); put("proxy", "width", state.width); } else delete tables.proxy; /* nothing would read it */
    const lines = [];
    const write = (name, table) => {
      const plain = Object.entries(table).filter(([, value]) => typeof value !== "object" || Array.isArray(value));
      if (plain.length) lines.push(`[${name}]`, ...plain.map(([key, value]) => `${key} = ${toml(value)}`), "");
      for (const [key, value] of Object.entries(table)) if (typeof value === "object" && !Array.isArray(value)) write(`${name}.${key}`, value);
    };
    for (const [name, table] of Object.entries(tables)) write(name, table);
    return lines.join("\n");
  }

  function open() {
    showLosses();
    $("beta").max = BETAS.length - 1;
    $("beta").addEventListener("input", () => { $("beta-value").textContent = short(BETAS[Number($("beta").value)]); });
    $("beta").addEventListener("change", () => Screen.set({ beta: BETAS[Number($("beta").value)] }));
    for (const name of Object.keys(SELECTS)) $(name).addEventListener("change", () => Screen.set({ [name]: Number($(name).value) }));
    $("seed").addEventListener("change", () => { const seed = Math.round(Number($("seed").value)); Screen.set({ seed: seed >= 0 && seed <= 9999 ? seed : 0 }); });
    $("controls").addEventListener("submit", (event) => event.preventDefault());
    $("link").addEventListener("click", () => copied(location.href, $("link"), "Copied"));
    $("sweep").addEventListener("click", () => offer("A sweep file", `For Python: install alignment-simulator, save this as mine.toml and run: alignment-simulator sweep mine.toml${state.loss === "drawn" ? ". Its loss is what “Copy as mine.py” gives." : ""}`, sweepFile()));
    $("dialog-copy").addEventListener("click", () => copied($("dialog-code").textContent, $("dialog-copy"), "Copied"));
    $("dialog-close").addEventListener("click", () => $("dialog").close());
    listenToPad();
    show();
  }
  return { open, show, paint };
})();
