"use strict";
/* One worker: it opens the world once, and then does one job after another, each until it is done or cancelled. */
(() => {
  let world = null;
  const cancelled = new Set();
  const queue = [];
  let busy = false;
  const breath = new MessageChannel();
  const waiting = [];
  breath.port1.onmessage = () => waiting.shift()();
  const pause = () => new Promise((done) => { waiting.push(done); breath.port2.postMessage(0); }); /* lets a message in */

  const jobs = {
    train: (job, alive) => world.train(job.settings, { detail: job.detail, every: job.every, pause: alive, frame: (frame) => postMessage({ id: job.id, frame }) }),
    oracle: async (job) => postMessage({ id: job.id, found: world.oracle(job.settings.fluency) }),
    bestOfN: async (job, alive) => postMessage({ id: job.id, found: await world.bestOfN(job.settings, alive) }),
  };
  async function work() {
    if (busy) return;
    busy = true;
    while (queue.length) {
      const job = queue.shift();
      try {
        if (!cancelled.has(job.id)) await jobs[job.kind](job, async () => { await pause(); return !cancelled.has(job.id); });
        postMessage({ id: job.id, done: true, cancelled: cancelled.has(job.id) });
      } catch (error) { postMessage({ id: job.id, done: true, error: String(error && error.message) }); }
      cancelled.delete(job.id);
    }
    busy = false;
  }
  onmessage = ({ data: message }) => {
    if (message.open) { world = Training.openWorld(message.open, message.module, message.tables); postMessage({ ready: true }); }
    else if (message.cancel !== undefined) cancelled.add(message.cancel);
    else { if (message.last) queue.push(message); else queue.splice(queue.findIndex((job) => job.last) >>> 0, 0, message); work(); } /* what is watched comes first */
  };
})();
