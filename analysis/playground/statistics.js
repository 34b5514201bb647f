"use strict";
/* Means over seeds with 95 % intervals (Student's t), and falls from the peak. */
const Statistics = (() => {
  const QUANTILES = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131]; /* at 0.975, for 1 to 15 degrees of freedom */
  const mean = (values) => values.reduce((all, value) => all + value, 0) / values.length;
  function interval(values) {
    const count = values.length, centre = mean(values);
    if (count < 2) return { mean: centre, half: NaN, low: centre, high: centre };
    const deviation = Math.sqrt(values.reduce((all, value) => all + (value - centre) ** 2, 0) / (count - 1));
    const half = (QUANTILES[Math.min(count - 2, QUANTILES.length - 1)] * deviation) / Math.sqrt(count);
    return { mean: centre, half, low: centre - half, high: centre + half };
  }
  /* Which checkpoint is the peak of each seed's path: that of the mean of the others, so that chance does not choose it. */
  function peaks(paths) {
    const steps = Math.min(...paths.map((path) => path.frames.length));
    return paths.map((path) => {
      const others = paths.length > 1 ? paths.filter((other) => other !== path) : paths;
      let top = 0, most = -Infinity;
      for (let i = 0; i < steps; i += 1) { const gold = mean(others.map((other) => other.frames[i].gold)); if (gold > most) [most, top] = [gold, i]; }
      return path.frames[top];
    });
  }
  const falls = (paths) => peaks(paths).map((peak, i) => peak.gold - paths[i].frames.at(-1).gold);
  return { mean, interval, peaks, falls };
})();
