"use strict";
/* A loss that is drawn: handles at whole z, from which follows a function with a slope that is linear between middles of
   handles and constant beyond them. It is convex where the handles are. */
const DrawnLoss = (() => {
  const FIRST = -4, COUNT = 11, LEAST = -0.05, HIGHEST = 9;
  const zero = -FIRST; /* the handle at z = 0 */
  const z = Array.from({ length: COUNT }, (_, k) => FIRST + k);
  const slopes = (handles) => handles.slice(1).map((value, k) => value - handles[k]);

  /* start, slope, first, apart and bends, as the engine takes them */
  function shape(handles) {
    const steep = slopes(handles), short = (value) => Math.round(value * 1e6) / 1e6;
    return [(handles[0] + handles[1]) / 2, steep[0], FIRST + 0.5, 1, ...steep.slice(1).map((slope, k) => slope - steep[k])].map(short);
  }
  function at(made, where) {
    let value = made[0] + made[1] * (where - made[2]), slope = made[1];
    for (let k = 0; k + 4 < made.length; k += 1) {
      const u = Math.max(0, where - (made[2] + k * made[3])), v = Math.min(u, made[3]);
      value += made[4 + k] * v * (u - v / 2);
      slope += made[4 + k] * v;
    }
    return { value, slope };
  }
  /* f'(0), f''(0) and kappa = f''(0) / |f'(0)| */
  function local(handles) {
    const steep = slopes(handles), slope = (steep[zero - 1] + steep[zero]) / 2, bend = steep[zero] - steep[zero - 1];
    return { slope, bend, kappa: bend / -slope };
  }
  /* Handles on a known loss; where it leaves the pad it goes on as a line. */
  function from(values) {
    const handles = [...values];
    for (let k = COUNT - 3; k >= 0; k -= 1) if (handles[k] > HIGHEST) handles[k] = Math.min(HIGHEST * 2, 2 * handles[k + 1] - handles[k + 2]);
    return handles;
  }
  /* Where handle k may go: falling at 0, and convex unless that is unlocked. */
  function allowed(handles, k, convex) {
    let low = -2, high = HIGHEST;
    if (convex) {
      if (k >= 2) low = Math.max(low, 2 * handles[k - 1] - handles[k - 2]);
      if (k + 2 < COUNT) low = Math.max(low, 2 * handles[k + 1] - handles[k + 2]);
      if (k >= 1 && k + 1 < COUNT) high = Math.min(high, (handles[k - 1] + handles[k + 1]) / 2);
    }
    if (k === zero - 1) low = Math.max(low, handles[zero + 1] - 2 * LEAST);
    if (k === zero + 1) high = Math.min(high, handles[zero - 1] + 2 * LEAST);
    return [Math.min(low, handles[k]), Math.max(high, handles[k])];
  }
  function moved(handles, k, value, convex) {
    const [low, high] = allowed(handles, k, convex), found = [...handles];
    found[k] = Math.min(high, Math.max(low, value));
    return found;
  }
  const isConvex = (handles) => slopes(handles).every((slope, k, all) => k === 0 || slope >= all[k - 1] - 1e-9);
  const isFalling = (handles) => local(handles).slope <= LEAST + 1e-9;

  const number = (value) => (Number.isInteger(value) ? `${value}.0` : String(value));
  const python = (handles) => {
    const [start, slope, first, , ...bends] = shape(handles);
    return [
      '"""A loss f(z), z = beta times the margin, drawn in the playground."""', "", "import torch", "",
      `BENDS = torch.tensor([${bends.map(number).join(", ")}])  # f'' between ${first} and ${first + bends.length}, one for each unit of z`, "", "",
      "def drawn(z: torch.Tensor) -> torch.Tensor:",
      `    """f(z), elementwise: f' is linear between ${first} and ${first + bends.length}, and constant beyond."""`,
      `    past = (z.unsqueeze(-1) + ${number(-first)} - torch.arange(${bends.length}, device=z.device)).clamp(min=0)`,
      "    begun = past.clamp(max=1)",
      `    bend = (BENDS.to(z) * begun * (past - begun / 2)).sum(dim=-1)`,
      `    return ${number(start)} ${slope < 0 ? "-" : "+"} ${number(Math.abs(slope))} * (z + ${number(-first)}) + bend`, "",
    ].join("\n");
  };
  return { z, zero, shape, at, local, from, allowed, moved, isConvex, isFalling, python, HIGHEST };
})();
