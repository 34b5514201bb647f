"use strict";
/* A world in which every response is listed, and the training of policies in it by the compiled engine. It runs in a worker.
   Shapes: P prompts, G = V^T responses of T tokens, N pairs. Tables [P, G] are flat, a prompt after the other. */
const Training = (() => {
  const text = new TextEncoder();

  /* The functions of playground.cpp, with arrays copied in and out. */
  function openEngine(module) {
    const engine = new WebAssembly.Instance(module, {}).exports;
    engine._initialize();
    const bytes = (at, count) => new Uint8Array(engine.memory.buffer, at, count);
    const copied = (array) => {
      const at = engine.room(Math.max(8, array.byteLength));
      bytes(at, array.byteLength).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      return at;
    };
    const result = (Kind, at, count) => new Kind(engine.memory.buffer.slice(at, at + count * Kind.BYTES_PER_ELEMENT));
    /* arrays: copied in; sizes: [type, count] of a result. What `call` gets are their places, and results are copied out. */
    function using(arrays, [Kind, count], call) {
      const places = arrays.map(copied);
      const to = engine.room(Math.max(8, count * Kind.BYTES_PER_ELEMENT));
      const refused = call(...places, to);
      const found = result(Kind, to, count);
      [...places, to].forEach((at) => engine.give_back(at));
      if (refused) throw new Error(`the engine refused the sizes (${refused})`);
      return found;
    }
    /* A stream is named as in Python: by the text of a tuple such as (0, 'pairs'). */
    const named = (...parts) => text.encode(`(${parts.map((part) => (typeof part === "string" ? `'${part}'` : part)).join(", ")})`);
    const draw = (name, kind, call) => using([name], kind, (at, to) => { call(at, name.length, to); return 0; });
    return {
      engine, bytes, copied, result, using, named,
      uniforms: (name, count) => draw(name, [Float64Array, count], (at, length, to) => engine.uniforms(at, length, count, to)),
      permutation: (name, count) => draw(name, [Int32Array, count], (at, length, to) => engine.permutation(at, length, count, to)),
      firstWord: (name) => draw(name, [Uint32Array, 2], (at, length, to) => engine.first_word(at, length, to)),
      normals: (name, counts, scales) => using([name, new Int32Array(counts), new Float64Array(scales)], [Float32Array, counts.reduce((a, b) => a + b, 0)],
        (at, of, by, to) => { engine.normals(at, name.length, counts.length, of, by, to); return 0; }),
      tree: (sizes, prompts, parameters, count, numbers) => using([new Int32Array(sizes), parameters, prompts], [Float64Array, numbers],
        (of, at, asked, to) => engine.tree(of, count, at, parameters.length, asked, to)),
      drawnLoss(shape, z) {
        const both = using([shape, z], [Float32Array, 2 * z.length], (of, at, to) => { engine.drawn_loss(of, shape.length - 4, z.length, at, to, to + 4 * z.length); return 0; });
        return [both.slice(0, z.length), both.slice(z.length)];
      },
    };
  }

  const LOSSES = ["logistic", "hinge", "squared", "exponential", "truncated_quadratic", "savage"];
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const mean = (values) => sum(values) / values.length;
  const roundEven = (x) => { const r = Math.round(x); return Math.abs(x % 1) === 0.5 && r % 2 ? r - 1 : r; }; /* halves go to the even number */

  /* Checkpoints: `count` different steps from 0 to `steps`, even in the logarithm as far as whole numbers allow. */
  function checkpointSteps(steps, count) {
    if (count > steps) return Array.from({ length: steps + 1 }, (_, i) => i);
    if (count === 2) return [0, steps];
    const chosen = [0];
    for (let left = count - 1; left > 0; left -= 1) {
      const at = chosen[chosen.length - 1], last = Math.max(at, 1);
      const ideal = chosen.length > 1 ? last * (steps / last) ** (1 / left) : 1;
      chosen.push(Math.min(Math.max(roundEven(ideal), at + 1), steps - left + 1));
    }
    return chosen;
  }

  /* The share of the peak learning rate at a step, from 1. */
  function rateFactor(step, { steps, warmup, schedule }) {
    if (step <= warmup) return step / warmup;
    const passed = (step - warmup - 1) / Math.max(steps - warmup, 1);
    if (schedule === "linear") return 1 - passed;
    return schedule === "cosine" ? 0.5 * (1 + Math.cos(Math.PI * passed)) : 1;
  }

  function openWorld(data, module, binary) {
    const compiled = openEngine(module);
    const { vocabulary: V, length: T, promptLength: L } = data.sizes;
    const P = data.prompts.length, G = V ** T, ALL = P * G;
    const row = data.sizes.row;
    const fluency = new Float64Array(binary, 0, ALL), reference = new Float32Array(binary, 8 * ALL, row);
    const content = Float64Array.from(new Float32Array(binary, 8 * ALL + 4 * row, ALL));
    const breaks = new Uint8Array(binary, 4 * (row + 3 * ALL), ALL); /* a bit for each token, the first one lowest */
    const prompts = Int32Array.from(data.prompts.flat());
    const sizesOf = (width, heads, layers, whole) => [V, whole ? L + T : L + T - 1, layers, width, heads, whole ? 1 : V, L, T, whole ? 1 : 0];
    const policySizes = sizesOf(data.sizes.width, data.sizes.heads, data.sizes.layers, false);
    const nodes = (V ** T - 1) / (V - 1);

    /* log pi of every response, from the laws at the inner nodes of the prefix tree; temperature: of each law */
    function leaves(laws, temperature = 1) {
      const found = new Float64Array(ALL);
      const own = new Float64Array(V);
      for (let p = 0; p < P; p += 1) {
        let before = new Float64Array(1), start = 0;
        for (let depth = 0; depth < T; depth += 1) {
          const after = new Float64Array(before.length * V);
          for (let node = 0; node < before.length; node += 1) {
            const at = (p * nodes + start + node) * V;
            let total = 0;
            for (let v = 0; v < V; v += 1) own[v] = laws[at + v] / temperature;
            if (temperature !== 1) total = Math.log(own.reduce((all, each) => all + Math.exp(each), 0));
            for (let v = 0; v < V; v += 1) after[node * V + v] = before[node] + own[v] - total;
          }
          start += before.length;
          before = after;
        }
        found.set(before, p * G);
      }
      return found;
    }
    const lawsOf = (parameters) => compiled.tree(policySizes, prompts, parameters, P, P * nodes * V);
    const logProbs = (parameters) => leaves(lawsOf(parameters));

    const referenceLaws = lawsOf(reference), logReference = leaves(referenceLaws), law = logReference.map(Math.exp);
    const atEach = (weights, values, to = (x) => x) => Array.from({ length: P }, (_, p) => { let all = 0; for (let i = p * G; i < (p + 1) * G; i += 1) all += weights[i] * to(values[i], p); return all; });

    /* Values in deviations under the reference: mean 0 at each prompt, variance 1 over all. */
    function standardized(values) {
      const centre = atEach(law, values);
      const deviation = Math.sqrt(mean(atEach(law, values, (x, p) => (x - centre[p]) ** 2)));
      return { values: values.map((x, i) => (x - centre[Math.floor(i / G)]) / deviation), deviation };
    }
    const contentUnit = standardized(content).values, fluencyUnit = data.gold.fluency ? standardized(fluency).values : fluency;
    const golds = new Map();
    /* Gold [P, G] with this weight of fluency, and what fluency gives of it. */
    function goldOf(weight) {
      if (!golds.has(weight)) {
        const { values, deviation } = standardized(contentUnit.map((x, i) => x + weight * fluencyUnit[i]));
        golds.set(weight, { gold: values, fluency: fluencyUnit.map((x) => (weight * x) / deviation) });
      }
      return golds.get(weight);
    }

    /* The behaviour policy mu, [P, G]. */
    const behaviour = (() => {
      const { behaviour: kind, uniformShare, behaviourTemperature } = data.data;
      const own = kind === "tempered" ? leaves(referenceLaws, behaviourTemperature).map(Math.exp) : law;
      const share = { uniform: 1, mixture: uniformShare }[kind] || 0;
      return own.map((p) => (1 - share) * p + share / G);
    })();
    function cumulated(weights) {
      const found = new Float64Array(ALL);
      for (let p = 0; p < P; p += 1) {
        let total = 0;
        for (let i = p * G; i < (p + 1) * G; i += 1) found[i] = total += weights[i];
        for (let i = p * G; i < (p + 1) * G; i += 1) found[i] /= total;
      }
      return found;
    }
    function drawn(cumulative, prompt, uniform) {
      let low = prompt * G, high = low + G; /* the first place whose share is above */
      while (low < high) { const middle = (low + high) >> 1; if (cumulative[middle] > uniform) high = middle; else low = middle + 1; }
      return low - prompt * G;
    }

    /* Pairs, labelled by gold: prompt, the numbers of the chosen and rejected response. draws: where their numbers come from. */
    function labelled(prompt, first, second, uniforms, { noise, fluency: weight }) {
      const { gold } = goldOf(weight), { labels, temperature } = data.data;
      const N = prompt.length, chosen = new Int32Array(N), rejected = new Int32Array(N);
      for (let i = 0; i < N; i += 1) {
        const gap = gold[prompt[i] * G + first[i]] - gold[prompt[i] * G + second[i]];
        const clean = labels === "bradley_terry" ? 1 / (1 + Math.exp(-gap / temperature)) : (Math.sign(gap) + 1) / 2;
        const swap = uniforms[i] >= (1 - noise) * clean + noise * (1 - clean);
        [chosen[i], rejected[i]] = swap ? [second[i], first[i]] : [first[i], second[i]];
      }
      return { prompt, chosen, rejected };
    }
    function pairsOf({ pairs, noise, seed, fluency: weight }) {
      const uniforms = compiled.uniforms(compiled.named(seed, "pairs"), 4 * pairs), cumulative = cumulated(behaviour);
      const prompt = new Int32Array(pairs), first = new Int32Array(pairs), second = new Int32Array(pairs), label = new Float64Array(pairs);
      for (let i = 0; i < pairs; i += 1) {
        prompt[i] = Math.floor(uniforms[4 * i] * P);
        first[i] = drawn(cumulative, prompt[i], uniforms[4 * i + 1]);
        second[i] = drawn(cumulative, prompt[i], uniforms[4 * i + 2]);
        label[i] = uniforms[4 * i + 3];
      }
      for (let turn = 1; data.data.distinct && turn <= 100 && first.some((each, i) => each === second[i]); turn += 1) {
        const again = compiled.uniforms(compiled.named(seed, "pairs", "again", turn), 2 * pairs);
        for (let i = 0; i < pairs; i += 1) if (first[i] === second[i]) {
          first[i] = drawn(cumulative, prompt[i], again[2 * i]);
          second[i] = drawn(cumulative, prompt[i], again[2 * i + 1]);
        }
      }
      return labelled(prompt, first, second, label, { noise, fluency: weight });
    }
    const joined = (a, b) => { const all = new Int32Array(a.length + b.length); all.set(a); all.set(b, a.length); return all; };
    const more = (before, fresh) => ({ prompt: joined(before.prompt, fresh.prompt), chosen: joined(before.chosen, fresh.chosen), rejected: joined(before.rejected, fresh.rejected) });

    const tokensOf = (number) => Array.from({ length: T }, (_, t) => Math.floor(number / V ** (T - 1 - t)) % V);
    const tokens = Array.from({ length: G }, (_, number) => tokensOf(number));

    /* A network in training: parameters and Adam's moments stay in the engine's memory. */
    function trainer(sizes, parameters, { rate, clip, weightDecay, schedule, loss, beta, shape }) {
      const zero = new Float32Array(parameters.length);
      const at = { parameters: compiled.copied(parameters), first: compiled.copied(zero), second: compiled.copied(zero), sizes: compiled.copied(new Int32Array(sizes)) };
      const constant = [compiled.copied(new Float32Array([beta, rate, clip || Infinity, weightDecay])), compiled.copied(shape || new Float32Array(4))];
      let held = null;
      let step = 0, diverged = 0;
      const give = () => { if (held) held.forEach((place) => compiled.engine.give_back(place)); held = null; };
      return {
        get step() { return step; },
        get diverged() { return diverged; },
        parameters: () => compiled.result(Float32Array, at.parameters, parameters.length),
        pairs({ prompt, chosen, rejected }, logs) {
          give();
          const N = prompt.length, asked = new Int32Array(N * L), responses = new Int32Array(N * 2 * T), own = new Float32Array(2 * N);
          for (let i = 0; i < N; i += 1) {
            for (let l = 0; l < L; l += 1) asked[i * L + l] = prompts[prompt[i] * L + l];
            [chosen[i], rejected[i]].forEach((number, k) => {
              for (let t = 0; t < T; t += 1) responses[(i * 2 + k) * T + t] = tokens[number][t];
              own[i * 2 + k] = logs(prompt[i], number, k);
            });
          }
          held = [compiled.copied(asked), compiled.copied(responses), compiled.copied(own)];
          held.count = N;
        },
        advance(order, batch) {
          const steps = order.length / batch;
          const factors = Float32Array.from({ length: steps }, (_, i) => rateFactor(step + i + 1, schedule));
          const [ordered, factor] = [compiled.copied(order), compiled.copied(factors)];
          const found = compiled.engine.train(at.sizes, held.count, batch, steps, step, at.parameters, parameters.length, at.first, at.second, ...held, ordered, factor, constant[0], LOSSES.indexOf(loss), constant[1], shape ? shape.length - 4 : 0);
          [ordered, factor].forEach((place) => compiled.engine.give_back(place));
          if (found < 0) throw new Error(`the engine refused to train (${-found})`);
          diverged ||= found;
          step += steps;
        },
        close() { give(); [...Object.values(at), ...constant].forEach((place) => compiled.engine.give_back(place)); },
      };
    }

    /* Which pairs so many steps after step `first` take: epochs without a gap, each in an order of its own. */
    function batchOrder(seed, pairs, batch, first, steps, purpose = ["batches"], all = pairs === batch) {
      const found = new Int32Array(steps * batch);
      let epoch = -1, order = null;
      for (let i = 0; i < found.length; i += 1) {
        const place = first * batch + i, here = Math.floor(place / pairs);
        if (all) { found[i] = i % batch; continue; }
        if (here !== epoch) { order = compiled.permutation(compiled.named(seed, ...purpose, here), pairs); epoch = here; }
        found[i] = order[place % pairs];
      }
      return found;
    }

    /* Which part of what can be said a response is of: 0 chosen, 1 rejected, 2 in no pair, 3 in no pair and ungrammatical. */
    function partsOf({ prompt, chosen, rejected }) {
      const balance = new Int32Array(ALL), seen = new Int32Array(ALL);
      prompt.forEach((p, i) => { balance[p * G + chosen[i]] += 1; balance[p * G + rejected[i]] -= 1; seen[p * G + chosen[i]] += 1; seen[p * G + rejected[i]] += 1; });
      const parts = new Uint8Array(ALL);
      for (let i = 0; i < ALL; i += 1) parts[i] = seen[i] ? (balance[i] > 0 ? 0 : 1) : breaks[i] ? 3 : 2;
      return { parts, balance, seen };
    }
    const lossOf = {
      logistic: (z) => Math.log1p(Math.exp(-Math.abs(z))) + Math.max(-z, 0), hinge: (z) => Math.max(0, 1 - z), squared: (z) => (1 - z) ** 2,
      exponential: (z) => Math.exp(-z), truncated_quadratic: (z) => Math.max(0, 1 - z) ** 2, savage: (z) => 1 / (1 + Math.exp(z)) ** 2,
    };

    /* Sums over all responses of a policy. */
    function measure(logs, { gold, fluency: ofFluency }) {
      let kl = 0, entropy = 0, goldSum = 0, fluencySum = 0, squared = 0, gain = 0, spread = 0;
      for (let p = 0; p < P; p += 1) {
        let atReference = 0, square = 0, atMu = 0, muSquare = 0, own = 0;
        for (let i = p * G; i < (p + 1) * G; i += 1) {
          const prob = Math.exp(logs[i]), ratio = logs[i] - logReference[i];
          if (prob > 0) { own += prob * ratio; entropy -= prob * logs[i]; }
          goldSum += prob * gold[i]; fluencySum += prob * ofFluency[i];
          atReference += law[i] * ratio; square += law[i] * ratio * ratio; atMu += behaviour[i] * ratio; muSquare += behaviour[i] * ratio * ratio;
        }
        kl += own; gain += own - atReference; spread += square - atReference ** 2; squared += muSquare - atMu ** 2;
      }
      const deviation = Math.sqrt(Math.max(0, spread / P));
      return { kl: kl / P, gold: goldSum / P, fluency: fluencySum / P, proxy: deviation ? gain / P / deviation : 0, entropy: entropy / P, muSquared: squared / P };
    }

    const SHOWN = 6, KNOWN = 4;
    const known = Array.from({ length: P }, (_, p) => largest(logReference, p, KNOWN));
    function largest(logs, p, count) {
      const best = [];
      for (let g = 0; g < G; g += 1) {
        const value = logs[p * G + g];
        if (best.length === count && value <= best[count - 1][0]) continue;
        best.push([value, g]);
        best.sort((a, b) => b[0] - a[0]);
        if (best.length > count) best.pop();
      }
      return best.map(([, g]) => g);
    }
    /* What the policy says: of each prompt the likeliest responses, and the reference's. */
    function responses(logs, { parts, balance, seen }, { gold, fluency: ofFluency }) {
      return Array.from({ length: P }, (_, p) => [...new Set([...largest(logs, p, SHOWN), ...known[p]])].map((g) => {
        const i = p * G + g;
        return { tokens: tokens[g], reference: Math.exp(logReference[i]), policy: Math.exp(logs[i]), gold: gold[i], fluency: ofFluency[i], part: parts[i], chosen: (seen[i] + balance[i]) / 2, rejected: (seen[i] - balance[i]) / 2, breaks: breaks[i] };
      }));
    }

    const FRAMES = 80;
    const frameSteps = (steps) => [...new Set([...checkpointSteps(steps, data.train.checkpoints), ...checkpointSteps(steps, Math.min(FRAMES, steps))])].sort((a, b) => a - b);

    /* Train one policy, and give what is measured at each frame. `pause` is awaited between frames; false from it ends it.
       settings: loss, beta, pairs, noise, rate, steps, seed, fluency; shape of a drawn loss; online: steps between fresh pairs. */
    async function train(settings, { frame, pause = async () => true, detail = true, every = false }) {
      const golds = goldOf(settings.fluency), simpo = settings.loss === "simpo", margin = data.simpoMargin;
      let pairs = pairsOf(settings), parts = partsOf(pairs);
      const beta = simpo ? settings.beta / T : settings.beta;
      const logs = (prompt, number, k) => (simpo ? (k ? 0 : margin / beta) : logReference[prompt * G + number]);
      const learner = trainer(policySizes, reference, {
        rate: settings.rate, clip: data.train.clip, weightDecay: data.train.weightDecay, beta,
        schedule: { steps: settings.steps, warmup: Math.min(data.train.warmup, settings.steps), schedule: data.train.schedule },
        loss: simpo ? "logistic" : settings.loss, shape: settings.loss === "drawn" ? Float32Array.from(settings.shape) : null,
      });
      learner.pairs(pairs, logs);
      const f = settings.loss === "drawn" ? (z) => DrawnLoss.at(settings.shape, z).value : lossOf[simpo ? "logistic" : settings.loss];
      const stops = every ? checkpointSteps(settings.steps, data.train.checkpoints) : frameSteps(settings.steps);
      let begun = 0, turn = 0;
      try {
        for (const stop of stops) {
          while (learner.step < stop) {
            const until = settings.online ? Math.min(stop, begun + settings.online) : stop, batch = Math.min(data.train.batch, pairs.prompt.length);
            learner.advance(batchOrder(settings.seed, pairs.prompt.length, batch, learner.step - begun, until - learner.step, turn ? ["batches", "round", turn] : ["batches"]), batch);
            if (settings.online && learner.step - begun === settings.online && learner.step < settings.steps) {
              begun = learner.step; turn += 1;
              pairs = more(pairs, freshPairs(logProbs(learner.parameters()), settings, turn));
              parts = partsOf(pairs);
              learner.pairs(pairs, logs);
            }
          }
          const own = logProbs(learner.parameters());
          const found = { step: learner.step, ...measure(own, golds), ...onPairs(own, pairs, f, beta, simpo ? margin : 0, simpo) };
          if (learner.diverged || !Number.isFinite(found.kl + found.gold + found.loss)) { frame({ step: learner.diverged || learner.step, diverged: true }); return; }
          found.mass = massOf(own, parts.parts);
          if (detail) found.said = responses(own, parts, golds);
          frame(found);
          if (!(await pause())) return;
        }
      } finally { learner.close(); }
    }
    function freshPairs(logs, settings, turn) {
      const count = data.online.pairs, cumulative = cumulated(logs.map(Math.exp));
      const both = compiled.uniforms(compiled.named(settings.seed, "online", turn), 2 * count), said = compiled.uniforms(compiled.named(settings.seed, "online", turn, "responses"), 2 * count);
      const prompt = Int32Array.from({ length: count }, (_, i) => Math.floor(both[2 * i] * P));
      const response = (k) => Int32Array.from(prompt, (p, i) => drawn(cumulative, p, said[2 * i + k]));
      return labelled(prompt, response(0), response(1), Float64Array.from(prompt, (_, i) => both[2 * i + 1]), settings);
    }
    function massOf(logs, parts) {
      const mass = [0, 0, 0, 0];
      for (let i = 0; i < ALL; i += 1) mass[parts[i]] += Math.exp(logs[i]) / P;
      return mass;
    }
    function onPairs(logs, { prompt, chosen, rejected }, f, beta, margin, free) {
      let loss = 0, right = 0, up = 0, down = 0;
      const N = prompt.length;
      for (let i = 0; i < N; i += 1) {
        const a = prompt[i] * G + chosen[i], b = prompt[i] * G + rejected[i];
        const one = logs[a] - logReference[a], two = logs[b] - logReference[b];
        loss += f(free ? beta * (logs[a] - logs[b]) - margin : beta * (one - two));
        right += Math.abs(one - two) < 1e-5 ? 0.5 : one > two ? 1 : 0;
        up += one; down += two;
      }
      return { loss: loss / N, accuracy: right / N, chosen: up / N, rejected: down / N };
    }

    /* The best that any policy can do: the Gibbs policies of gold, from weak to strong. */
    function oracle(weight) {
      const golds = goldOf(weight), kl = [0], gold = [0];
      for (let i = 0; i < 97; i += 1) {
        const temperature = 10 ** (2 - (4 * i) / 96), logs = new Float64Array(ALL);
        for (let p = 0; p < P; p += 1) {
          let most = -Infinity, total = 0;
          for (let g = p * G; g < (p + 1) * G; g += 1) { logs[g] = logReference[g] + golds.gold[g] / temperature; most = Math.max(most, logs[g]); }
          for (let g = p * G; g < (p + 1) * G; g += 1) total += Math.exp(logs[g] - most);
          for (let g = p * G; g < (p + 1) * G; g += 1) logs[g] -= most + Math.log(total);
        }
        const found = measure(logs, golds);
        kl.push(found.kl); gold.push(found.gold);
      }
      return { kl, gold };
    }

    /* The best of n responses of the reference by a score [P, G]: exact, ties in proportion to the reference. */
    function bestOf(score, n) {
      const logs = new Float64Array(ALL);
      for (let p = 0; p < P; p += 1) {
        const order = Array.from({ length: G }, (_, g) => p * G + g).sort((a, b) => score[a] - score[b]);
        const total = order.reduce((all, i) => all + law[i], 0);
        let below = 0;
        for (let i = 0; i < G;) {
          let j = i, mass = 0;
          while (j < G && score[order[j]] === score[order[i]]) { mass += law[order[j]] / total; j += 1; }
          const upTo = Math.min(1, below + mass);
          const won = upTo ** n * -Math.expm1(n * Math.log(below / upTo));
          for (; i < j; i += 1) logs[order[i]] = Math.log(won / mass) + logReference[order[i]];
          below = upTo;
        }
      }
      return logs;
    }
    const ladder = [1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024];

    /* A reward model that learns from the pairs of a seed, as a table of scores [P, G]; the best checkpoint on held-out pairs. */
    async function proxyScores(settings, pause = async () => true) {
      const own = data.proxy, width = settings.width, sizes = sizesOf(width, own.heads, own.layers, true);
      const shapes = [[V, width], [L + T, width], ...Array.from({ length: own.layers }, () => [[width, 3 * width], [width, width], [width, 4 * width], [4 * width, width]]).flat(), [width, 1]];
      const scales = shapes.map(([rows], i) => (i < 2 ? 0.1 : rows ** -0.5) / (i >= 2 && i < shapes.length - 1 && (i - 2) % 2 ? Math.sqrt(2 * own.layers) : 1));
      const weights = compiled.normals(compiled.named(settings.seed, "proxy", "init", 0), shapes.map(([a, b]) => a * b), scales);
      const parameters = new Float32Array(Math.ceil(weights.length / 64) * 64);
      parameters.set(weights);
      const pairs = pairsOf(settings), N = settings.pairs, held = roundEven(own.heldOut * N), count = N - held;
      const learner = trainer(sizes, parameters, {
        rate: own.rate === "auto" ? 0.08 / width : own.rate, clip: 1, weightDecay: own.weightDecay, beta: 1, loss: own.loss,
        schedule: { steps: own.steps, warmup: Math.floor(own.steps / 20), schedule: "cosine" },
      });
      learner.pairs(pairs, () => 0);
      const [low, high] = compiled.firstWord(compiled.named(settings.seed, "proxy", "order", 0));
      const orderSeed = ((BigInt(high) << 32n) | BigInt(low)) >> 2n;
      if (held < 1) throw new Error(`Of ${N} pairs none is held out, by which a proxy is judged: take more pairs.`);
      const batch = Math.min(own.batch, N);
      let best = Infinity, scores = null;
      try {
        for (const stop of checkpointSteps(own.steps, 24)) {
          if (stop > learner.step) learner.advance(batchOrder(orderSeed, count, batch, learner.step, stop - learner.step, ["batches"], false), batch);
          const said = compiled.tree(sizes, prompts, learner.parameters(), P, ALL);
          let loss = 0;
          for (let i = count; i < N; i += 1) loss += lossOf[own.loss](said[pairs.prompt[i] * G + pairs.chosen[i]] - said[pairs.prompt[i] * G + pairs.rejected[i]]) / held;
          if (loss < best) [best, scores] = [loss, said];
          if (!(await pause())) return null;
        }
      } finally { learner.close(); }
      return scores;
    }
    /* Scores in gold's unit: times the a that fits sigma(a gap) to gold's soft labels on fresh pairs (Gao et al. 2023). */
    function inGoldsUnit(scores, { gold }) {
      const count = 8192, own = standardized(scores).values, cumulative = cumulated(law), sigma = (x) => 1 / (1 + Math.exp(-x));
      const uniforms = compiled.uniforms(compiled.named(data.seed, "fresh pairs"), 4 * count);
      const gaps = [], soft = [];
      for (let i = 0; i < count; i += 1) {
        const prompt = Math.floor(uniforms[4 * i] * P);
        const [one, two] = [1, 2].map((k) => prompt * G + drawn(cumulative, prompt, uniforms[4 * i + k]));
        gaps.push(own[one] - own[two]);
        soft.push(sigma(gold[one] - gold[two]));
      }
      const slope = (a) => gaps.reduce((all, gap, i) => all + (sigma(a * gap) - soft[i]) * gap, 0);
      let low = 0, high = 1;
      if (slope(0) >= 0) return own.map((x) => x * 0.01);
      while (slope(high) < 0 && high < 1e6) high *= 4;
      for (let i = 0; i < 60; i += 1) { const middle = (low + high) / 2; if (slope(middle) < 0) low = middle; else high = middle; }
      return own.map((x) => x * Math.max(high, 0.01));
    }
    async function bestOfN(settings, pause) {
      const scores = await proxyScores(settings, pause);
      if (!scores) return null;
      const golds = goldOf(settings.fluency), unit = inGoldsUnit(scores, golds);
      const rows = ladder.map((n) => {
        const logs = bestOf(scores, n), found = measure(logs, golds);
        let says = 0;
        for (let i = 0; i < ALL; i += 1) says += (Math.exp(logs[i]) * unit[i]) / P;
        return { n, kl: found.kl, gold: found.gold, proxy: says };
      });
      return { width: settings.width, kl: rows.map((row) => row.kl), gold: rows.map((row) => row.gold), proxy: rows.map((row) => row.proxy), n: ladder };
    }
    return { train, oracle, bestOfN, pairsOf, drawnLoss: compiled.drawnLoss };
  }

  return { openWorld, openEngine };
})();
