"use strict";
/* Lessons: predict, try, check, explain. What is measured of policies has the names that lessons.toml uses. */
const Lessons = (() => {
  const { data, state } = Screen;
  const { short, fixed, element, replace } = Drawing;
  const $ = (id) => document.getElementById(id);
  const SEEDS = data.lessonSeeds, OWN = { beta: 0.01, pairs: 256, steps: 600 }; /* of a lesson's run, unless it says otherwise */
  const shown = new Map(); /* of each lesson that was opened: its parts, and whether a question of it was answered */
  let opened = null, running = [];

  /* what is measured of the paths of a run, a number for each seed */
  const last = (name, scale = 1) => (paths) => paths.map((path) => scale * path.frames.at(-1)[name]);
  const masses = (parts, place) => (paths) => paths.map((path) => 100 * parts.reduce((all, part) => all + path.frames.at(place).mass[part], 0));
  const after = (name) => (paths) => paths.map((path) => path.frames.at(-1)[name] - path.frames.find((frame) => frame.step >= 300)[name]);
  const MEASURES = {
    end_kl: [last("kl"), "KL at the end", "nats"], end_gold: [last("gold"), "gold at the end", "sd"], end_loss: [last("loss"), "training loss at the end", ""],
    end_chosen: [last("chosen"), "log π/π_ref of chosen responses", "nats"], end_rejected: [last("rejected"), "log π/π_ref of rejected responses", "nats"],
    fall: [Statistics.falls, "gold at the peak less gold at the end", "sd"], peak_gold: [(paths) => Statistics.peaks(paths).map((frame) => frame.gold), "gold at the peak", "sd"],
    peak_loss: [(paths) => Statistics.peaks(paths).map((frame) => frame.loss), "training loss at the peak", ""],
    end_unseen: [masses([2, 3], -1), "probability on responses in no pair", "%"], start_unseen: [masses([2, 3], 0), "on responses in no pair, under the reference", "%"], end_ungrammatical: [masses([3], -1), "probability on ungrammatical responses in no pair", "%"], start_ungrammatical: [masses([3], 0), "on ungrammatical ones in no pair, under the reference", "%"],
    late_kl: [after("kl"), "change of KL from step 300 on", "nats"], late_loss: [after("loss"), "change of the training loss from step 300 on", ""],
    best_of_n: [(found) => found.map((each) => Math.max(...each.gold)), "gold at the best n", "sd"],
  };
  const digits = (unit) => ({ "%": 0, "": 3 })[unit] ?? 2;
  const written = ({ mean, half }, unit) => `${fixed(mean, digits(unit))}${Number.isFinite(half) ? ` ± ${fixed(half, digits(unit))}` : ""}${unit ? ` ${unit}` : ""}`;

  /* a text with *terms* set apart */
  function paragraphs(text) {
    return text.trim().split("\n").map((line) => {
      const made = element("p");
      line.split(/\*([^*]+)\*/).forEach((part, i) => made.append(i % 2 ? element("dfn", part) : part));
      return made;
    });
  }
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "—");

  /* how the means of a question's runs compare; values: of each run, a number for each seed */
  function verdict(values) {
    const difference = values.length > 1 ? values[0].map((value, i) => value - values[1][i]) : values[0];
    const { mean, half } = Statistics.interval(difference);
    return { which: Math.abs(mean) <= half ? 2 : mean > 0 ? 0 : 1, mean, half };
  }

  /* the controls of a run, and what it trains with */
  function controlsFor(run) {
    const { name, width, online, ...own } = run;
    return { ...data.start, lesson: state.lesson, prompt: state.prompt, ...OWN, ...own, online: online ? data.online.refresh : 0, width: width || 0 };
  }
  const settingsFor = (run) => Screen.settingsOf(controlsFor(run));
  async function train(question, progress) {
    const lesson = opened;
    const seeds = Array.from({ length: SEEDS }, (_, i) => i), found = [];
    for (const [number, run] of question.runs.entries()) {
      const of = question.runs.length > 1 ? ` (${number + 1} of ${question.runs.length})` : "";
      progress(`${run.name}${of}: training ${SEEDS} ${run.width ? "proxies" : "policies, a seed each"}`);
      Screen.adopt(controlsFor(run));
      shown.get(lesson.id).last = run;
      if (run.width) {
        if (!number) Screen.showBest(null, "");
        let ready = 0;
        const ask = async (seed) => {
          const job = Screen.trainer().ask("bestOfN", { settings: { ...settingsFor(run), seed, width: run.width } });
          running.push(job);
          const { found: one, cancelled } = await job.ended;
          progress(`${run.name}${of}: ${(ready += 1)} of ${SEEDS} proxies`);
          return cancelled || !one ? null : one;
        };
        const each = [];
        if (Screen.trainer().where === "Python") for (const seed of seeds) each.push(await ask(seed)); /* one at a time */
        else each.push(...(await Promise.all(seeds.map(ask))));
        if (each.includes(null) || opened !== lesson) return null;
        const middle = (name) => each[0].n.map((_, i) => Statistics.mean(each.map((one) => one[name][i])));
        Screen.showBest({ ...each[0], kl: middle("kl"), gold: middle("gold"), proxy: middle("proxy") }, number ? question.runs[number - 1].name : "");
        found.push(each);
      } else {
        const stack = Screen.stack(settingsFor(run), seeds, () => Screen.later());
        running.push(stack);
        Screen.show(stack);
        const ended = await stack.ended;
        if (ended.stopped) return null;
        await shownToTheEnd(stack, lesson);
        if (opened !== lesson) return null;
        found.push(ended.paths);
        if (number < question.runs.length - 1) Screen.addGhost(stack);
      }
    }
    return found;
  }
  /* or until nobody watches any more */
  const shownToTheEnd = (stack, lesson) => new Promise((done) => {
    const look = () => (!Screen.playing() || document.hidden || Screen.current() !== stack || opened !== lesson ? done() : setTimeout(look, 50));
    look();
  });
  function measured(question, found) {
    const of = (name, i = 0) => MEASURES[name][0](found[i]);
    const values = question.runs.map((_, i) => of(question.measure, i)), unit = MEASURES[question.measure][2];
    const means = values.map((each) => Statistics.interval(each)), compared = verdict(values);
    const texts = { a: written(means[0], unit), b: means[1] ? written(means[1], unit) : "—", size: written({ mean: Math.abs(means[0].mean), half: means[0].half }, unit) };
    for (const name of question.also || []) texts[name] = written(Statistics.interval(of(name)), MEASURES[name][2]);
    return { means, compared, texts, unit };
  }

  function questionPart(question, number, done) {
    const part = element("div", null, { class: "question" }), id = `question-${number}`;
    part.append(element("h3", question.name), element("p", question.ask));
    const form = element("div", null, { class: "answers", role: "group", "aria-label": "Your prediction" });
    let input = null;
    if (question.number) {
      const label = element("label", `your guess [${question.number.unit}] `);
      input = element("input", null, { type: "number", step: "any", id: `${id}-guess` });
      label.append(input);
      form.append(label);
    } else question.answers.forEach((answer, i) => {
      const label = element("label"), radio = element("input", null, { type: "radio", name: id, value: i });
      label.append(radio, element("span", answer));
      form.append(label);
    });
    const button = element("button", "Train and see", { type: "button", class: "go" }), told = element("p", "", { class: "note", role: "status" }), answer = element("div", null, { class: "answer", role: "status" });
    part.append(form);
    if (question.click) { const to = element("button", "Go to the chart", { type: "button" }); to.addEventListener("click", () => $("chart").focus()); part.append(to, " "); }
    part.append(button, told, answer);
    const predicted = () => (question.number ? (input.value === "" ? null : Number(input.value)) : (form.querySelector(":checked") ? Number(form.querySelector(":checked").value) : null));
    answer.tabIndex = -1;
    button.addEventListener("click", async () => {
      if (button.getAttribute("aria-disabled")) return;
      const guess = predicted(), where = question.click ? Screen.guess() : null;
      if (guess === null || !Number.isFinite(guess)) { told.textContent = "Predict first: choose or write what you expect."; return; }
      if (question.click && !where && !part.dataset.asked) { part.dataset.asked = "yes"; told.textContent = "Click in the chart, too, where you think the path will end (or press the button again without)."; return; }
      const lesson = opened;
      button.setAttribute("aria-disabled", "true");
      Screen.clear();
      const keep = setInterval(() => where && opened === lesson && !Screen.guess() && Screen.keepGuess(where), 30);
      const found = await train(question, (text) => { told.textContent = `${text} …`; });
      clearInterval(keep);
      button.removeAttribute("aria-disabled");
      told.textContent = found ? "" : "Training was stopped. Press the button to train again.";
      if (!found) return;
      shown.get(lesson.id).answered = true;
      tell(question, guess, measured(question, found), answer);
      done();
      answer.focus({ preventScroll: true });
      answer.scrollIntoView({ block: "nearest" });
    });
    return part;
  }
  const explained = (question, which) => [question.number ? "" : question[["more", "less", "unsure"][which]], question.explain].filter(Boolean).join(" ");
  function tell(question, guess, { means, compared, texts, unit }, answer) {
    const right = question.number ? Math.abs(guess - means[0].mean) <= question.number.within : guess === compared.which;
    const table = element("table"), body = element("tbody");
    const label = MEASURES[question.measure][1], several = (question.also || []).length > 0;
    question.runs.forEach((run, i) => { const row = element("tr"); row.append(element("th", several ? label : run.name, { scope: "row" }), element("td", written(means[i], unit), { class: "number" })); body.append(row); });
    for (const name of question.also || []) { const row = element("tr"); row.append(element("th", MEASURES[name][1], { scope: "row" }), element("td", texts[name], { class: "number" })); body.append(row); }
    table.append(element("caption", `${several ? question.runs.map((run) => run.name).join(", ") : label}: mean of ${SEEDS} seeds with its 95 % interval`), body);
    const said = right ? "As you predicted." : question.number ? `Not quite: you said ${short(guess)}${unit ? ` ${unit}` : ""}.` : `Not as you predicted. What came out: ${question.answers[compared.which]}.`;
    const body_text = filled(explained(question, compared.which), texts);
    replace(answer, [element("p", said, { class: right ? "right" : "wrong" }), table, ...paragraphs(body_text)]);
    answer.dataset.which = question.number ? texts.a : compared.which;
  }

  function show() {
    const chosen = data.lessons.find((lesson) => lesson.id === state.lesson) || null;
    for (const link of $("lessons").querySelectorAll("button")) link.setAttribute("aria-current", String(Number(link.dataset.lesson) === (chosen ? chosen.id : 0)));
    if (chosen === opened) return;
    running.forEach((job) => job.cancel());
    running = [];
    opened = chosen;
    $("lesson").hidden = !chosen;
    document.body.classList.toggle("learning", Boolean(chosen));
    if (!chosen) { replace($("lesson"), []); return; }
    if (shown.has(chosen.id)) { replace($("lesson"), shown.get(chosen.id).parts); return; }
    const parts = [];
    const next = (i) => () => { if (parts[i + 1]) parts[i + 1].hidden = false; else if (!end.parentNode) { $("lesson").append(end); shown.get(chosen.id).parts.push(end); } };
    chosen.question.forEach((question, i) => { const part = questionPart(question, i, next(i)); part.hidden = i > 0; parts.push(part); });
    const following = data.lessons.find((lesson) => lesson.id === chosen.id + 1);
    const end = element("p", null, { class: "buttons" }), on = element("button", following ? `Next: ${following.title}` : "Play freely", { type: "button" });
    on.addEventListener("click", () => choose(following ? following.id : 0));
    end.append(element("span", `In one sentence: ${chosen.aim}`, { class: "aim" }), on);
    replace($("lesson"), [element("h2", `Lesson ${chosen.id}: ${chosen.title}`), element("p", `about ${chosen.total} minutes`, { class: "kicker" }), ...paragraphs(chosen.intro), ...parts]);
    shown.set(chosen.id, { parts: [...$("lesson").children], answered: false });
  }
  function choose(id) {
    const chosen = data.lessons.find((lesson) => lesson.id === id);
    state.lesson = id;
    show();
    Screen.begin(chosen ? controlsFor(shown.get(id).last || chosen.question[0].runs[0]) : { ...data.start, prompt: state.prompt });
    if (id) { $("lesson").scrollIntoView({ block: "nearest" }); $("lesson").querySelector("input, button").focus({ preventScroll: true }); }
  }
  function teacher() {
    const times = data.lessons.map((lesson) => lesson.total), all = times.reduce((sum, minutes) => sum + minutes, 0);
    const parts = [element("p", `${data.lessons.length} lessons of ${Math.min(...times)} to ${Math.max(...times)} minutes, ${all} in all; each can stand alone. The class predicts, the page trains, and its answer explains. Expected answers are Python's, means over ${SEEDS} seeds with 95 % intervals. The page trains the same policies in class; single paths part from Python's when rounding has grown large enough, so its means differ a little.`)];
    for (const lesson of data.lessons) {
      parts.push(element("h3", `${lesson.id}. ${lesson.title} (${lesson.total} min)`), element("p", `Aim: ${lesson.aim} Reading: ${lesson.minutes} min.`));
      for (const question of lesson.question) {
        const expected = question.expected, item = element("div", null, { class: "expected" }), line = (name, text) => { const made = element("p"); made.append(element("b", `${name}: `), text); return made; };
        parts.push(item);
        item.append(element("h4", `${question.name} (${question.minutes} min)`), line("Ask", question.ask), line("In class", question.teacher));
        if (!expected) continue; /* with Python behind the page */
        const unit = MEASURES[question.measure][2], texts = { a: written(expected.means[0], unit), b: expected.means[1] ? written(expected.means[1], unit) : "—", size: written({ ...expected.means[0], mean: Math.abs(expected.means[0].mean) }, unit) };
        for (const [name, value] of Object.entries(expected.also)) texts[name] = written(value, MEASURES[name][2]);
        const answer = question.number ? texts.a : question.answers[expected.which];
        item.lastChild.before(line("Expected", `${question.number ? "" : `${answer}. `}${filled(explained(question, expected.which), texts).replaceAll("*", "")}`));
      }
    }
    replace($("teacher-sheet"), parts);
  }
  function open() {
    const buttons = [[0, "Free play"], ...data.lessons.map((lesson) => [lesson.id, `${lesson.id} ${lesson.nav}`, lesson.title])].map(([id, text, title]) => {
      const button = element("button", text, { type: "button", "data-lesson": id, title: title || "all controls, no task" });
      button.addEventListener("click", () => choose(id));
      return button;
    });
    replace($("lessons"), buttons);
    teacher();
    if (location.hash === "#sheet") { document.body.classList.add("teaching"); $("teacher-part").open = true; }
    show();
  }
  return { open, show, answered: () => Boolean(shown.get(state.lesson)?.answered), wantsClick: () => Boolean(opened && opened.question[0].click), MEASURES };
})();
