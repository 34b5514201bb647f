"use strict";
/* Who trains: workers of this page with the compiled engine, or Python behind it. Both take the same jobs. */
const Trainers = (() => {
  async function unpacked(base64) {
    const signs = atob(base64), packed = new Uint8Array(signs.length);
    for (let i = 0; i < signs.length; i += 1) packed[i] = signs.charCodeAt(i);
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  }
  const text = (id) => document.getElementById(id).textContent;

  /* Workers; a job goes to the one with the fewest. */
  async function here(data) {
    const [module, tables] = await Promise.all([unpacked(text("engine")).then((bytes) => WebAssembly.compile(bytes)), unpacked(text("tables"))]);
    const place = URL.createObjectURL(new Blob([text("worker")], { type: "text/javascript" }));
    const count = Math.max(1, Math.min(8, navigator.hardwareConcurrency || 2));
    const jobs = new Map();
    let last = 0;
    const workers = Array.from({ length: count }, () => {
      const worker = new Worker(place);
      worker.jobs = 0;
      worker.onmessage = ({ data: message }) => {
        const job = jobs.get(message.id);
        if (!job) return;
        if (message.frame) job.frame(message.frame);
        if (message.found !== undefined) job.found = message.found;
        if (message.done) { worker.jobs -= 1; jobs.delete(message.id); job.end(message.error ? { error: message.error } : { found: job.found, cancelled: message.cancelled }); }
      };
      worker.postMessage({ open: data, module, tables });
      return worker;
    });
    function start(message, frame) {
      const id = (last += 1), worker = workers.reduce((best, each) => (each.jobs < best.jobs ? each : best));
      worker.jobs += 1;
      const ended = new Promise((end) => jobs.set(id, { frame, end }));
      worker.postMessage({ id, ...message });
      return { ended, cancel: () => worker.postMessage({ cancel: id }) };
    }
    return {
      where: "this page",
      /* A stack: a policy for each seed; each(number of the seed, frame). */
      train(settings, seeds, each, { detail = true, every = false, last = false } = {}) {
        const started = seeds.map((seed, i) => start({ kind: "train", settings: { ...settings, seed }, detail: detail && i === 0, every, last }, (frame) => each(i, frame)));
        return { ended: Promise.all(started.map((one) => one.ended)), cancel: () => started.forEach((one) => one.cancel()) };
      },
      ask: (kind, more) => start({ kind, ...more }, () => {}),
    };
  }

  /* Python behind the page: events of one stack at a time, closed when it is cancelled. */
  async function behind(data) {
    const token = document.querySelector("meta[name=playground-token]").content;
    function open(kind, query, each) {
      const source = new EventSource(`${kind}?${new URLSearchParams({ token, query: JSON.stringify(query) })}`);
      let end = null;
      const ended = new Promise((done) => { end = done; });
      const close = (how) => { source.close(); end(how); };
      source.addEventListener("frame", (event) => { const { policy, frame } = JSON.parse(event.data); each(policy, frame); });
      source.addEventListener("found", (event) => close({ found: JSON.parse(event.data) }));
      source.addEventListener("ended", () => close({}));
      source.addEventListener("stopped", () => close({ cancelled: true }));
      source.addEventListener("refused", (event) => close({ error: JSON.parse(event.data) }));
      source.onerror = () => close({ error: "Python no longer answers: start alignment-simulator playground --serve again" });
      return { ended, cancel: () => close({ cancelled: true }) };
    }
    return {
      where: "Python",
      train(settings, seeds, each, { detail = true, every = false } = {}) {
        const { ended, cancel } = open("train", { settings, seeds, detail, every }, each);
        return { ended: ended.then((how) => [how]), cancel };
      },
      ask: (kind, more) => open(kind, more, () => {}),
    };
  }
  return { open: (data) => (data.served ? behind(data) : here(data)) };
})();
