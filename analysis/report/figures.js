"use strict";
/* The figures of the page: their data as a table, and files of each kind, made from what the page holds. */
(() => {
  const unpack = async (packed) => {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  const download = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const MOST = 200;
  const rowOf = (cells, kind) => {
    const row = document.createElement("tr");
    row.append(...cells.map((text) => {
      const cell = document.createElement(kind);
      cell.textContent = text;
      if (kind === "th") cell.scope = "col";
      return cell;
    }));
    return row;
  };
  const cellsOf = (line) => (line.match(/("([^"]|"")*"|[^,]*)(,|$)/g) || []).slice(0, 8).map((cell) => cell.replace(/,$/, "").replace(/^"|"$/g, "").replace(/""/g, '"'));
  for (const figure of document.querySelectorAll("figure[data-csv]")) {
    const name = figure.dataset.name;
    const picture = figure.querySelector("img");
    const details = figure.querySelector("details");
    details.addEventListener("toggle", async () => {
      if (!details.open || details.dataset.filled) return;
      details.dataset.filled = "yes";
      const lines = (await unpack(figure.dataset.csv)).trim().split("\n");
      const rows = lines.map(cellsOf);
      const axes = new Map(rows.slice(1).map((row) => [`${row[0]}: ${row[1]} against ${row[2]}`, [row[0], row[1], row[2]]]));
      const few = ([panel, , , ...rest]) => [panel, ...rest];
      const table = document.createElement("table");
      const head = document.createElement("thead"), body = document.createElement("tbody");
      head.append(rowOf(few(rows[0]), "th"));
      body.append(...rows.slice(1, MOST + 1).map((row) => rowOf(few(row), "td")));
      table.append(head, body);
      const box = details.querySelector(".box");
      const units = [...axes.values()].map(([panel, x, y]) => `${panel}: x is ${x}, y is ${y}`);
      box.replaceChildren(Object.assign(document.createElement("p"), { className: "note", textContent: `${units.slice(0, 4).join("; ")}${units.length > 4 ? "; and so on" : ""}. low and high: 95 % interval.` }), table);
      if (lines.length > MOST + 1) box.append(Object.assign(document.createElement("p"), { className: "note", textContent: `The first ${MOST} of ${lines.length - 1} rows; the CSV has all.` }));
    });
    const source = () => decodeURIComponent(picture.src.slice(picture.src.indexOf(",") + 1));
    const makers = {
      svg: async () => new Blob([source()], { type: "image/svg+xml" }),
      csv: async () => new Blob([await unpack(figure.dataset.csv)], { type: "text/csv" }),
      png: () => new Promise((done) => {
        const canvas = document.createElement("canvas");
        const scale = 4;
        canvas.width = picture.naturalWidth * scale;
        canvas.height = picture.naturalHeight * scale;
        const paper = canvas.getContext("2d");
        paper.fillStyle = "#fff";
        paper.fillRect(0, 0, canvas.width, canvas.height);
        paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
        canvas.toBlob(done, "image/png");
      }),
    };
    for (const button of figure.querySelectorAll("button[data-kind]")) {
      button.addEventListener("click", async () => download(`${name}.${button.dataset.kind}`, await makers[button.dataset.kind]()));
    }
  }
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "Copied"; } catch { button.textContent = button.dataset.copy; }
    });
  }
})();
