"use strict";
/* The table of all claims: heads that sort it, and what filters it. A row is hidden or shown, never made. */
(() => {
  const $ = (id) => document.getElementById(id);
  const table = $("all"), body = table.tBodies[0], rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const words = rows.map((row) => row.textContent.toLowerCase());
  const VERDICTS = ["holds", "fails", "undecided"];
  const MANY = new Intl.Collator("en", { numeric: true });

  /* a key is a number, or the words of a cell; null is none, and comes last in both directions */
  const keyOf = (row, i) => {
    const cell = row.cells[i];
    if (!("numeric" in heads[i].dataset)) return cell.textContent.trim();
    return cell.dataset.key === "" ? null : Number(cell.dataset.key);
  };
  const compare = (a, b) => (typeof a === "string" ? MANY.compare(a, b) : a - b);
  function sortBy(i, down) {
    const keyed = rows.map((row) => [row, keyOf(row, i)]);
    keyed.sort(([, a], [, b]) => (a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b)));
    body.append(...keyed.map(([row]) => row));
    heads.forEach((head, j) => {
      if (i === j) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(i, head.getAttribute("aria-sort") === "ascending"));
    head.replaceChildren(button);
  });

  function filter() {
    const paper = $("of-paper").value, verdict = $("of-verdict").value;
    const wanted = $("words-in").value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, i) => {
      const judged = verdict === "reopened" ? "reopened" in row.dataset : !verdict || row.dataset.verdict === verdict;
      row.hidden = !(judged && (!paper || row.dataset.paper === paper) && wanted.every((word) => words[i].includes(word)));
    });
    const shown = rows.filter((row) => !row.hidden);
    const counts = VERDICTS.map((name) => `${shown.filter((row) => row.dataset.verdict === name).length} ${name}`);
    $("count").textContent = `${shown.length} of ${rows.length} claims: ${counts.join(", ")}`;
  }
  $("filters").addEventListener("input", filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("pageshow", filter); /* a browser may keep what was chosen */
  $("filters").hidden = false;
  table.classList.add("sortable");
  filter();
})();
