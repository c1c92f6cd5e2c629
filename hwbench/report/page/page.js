"use strict";
// Sorting, filtering and the values of a figure's points. The page is whole without it: every control is made here.

const SCALES = {T: 1e12, G: 1e9, M: 1e6, k: 1e3, m: 1e-3, "µ": 1e-6, n: 1e-9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30};
const QUANTITY = /^([-+]?[\d.,]+(?:e[-+]?\d+)?)\s*(?:(T|G|M|k|m|µ|n|Ki|Mi|Gi)?(?:FLOP\/s|B\/s|J\/token|s|B|J|W)(?![\w/]))?/;
const FEW_ROWS = 8;

/** The number that a cell shows, in base units; null for words. */
function valueOf(text) {
  const found = QUANTITY.exec(text);
  return found ? Number(found[1].replaceAll(",", "")) * (SCALES[found[2]] ?? 1) : null;
}

function compare(a, b, falling) {
  const [x, y] = [valueOf(a), valueOf(b)];
  if ((x === null) !== (y === null)) return x === null ? 1 : -1; // what is unknown stands last, whichever way
  return (falling ? -1 : 1) * (x === null ? a.localeCompare(b) : x - y);
}

/** The rows of a table, those under one spanning heading together. */
function groupsOf(body) {
  const groups = [];
  let left = 0;
  for (const row of body.rows) {
    if (left === 0) {
      groups.push([]);
      left = row.cells[0]?.rowSpan ?? 1;
    }
    groups.at(-1).push(row);
    left -= 1;
  }
  return groups;
}

function sortable(table) {
  const [body, heads] = [table.tBodies[0], [...table.tHead.rows[0].cells]];
  const groups = groupsOf(body);
  if (groups.length < 2) return;
  const flat = groups.every((group) => group.length === 1);
  heads.forEach((head, column) => {
    if (!head.textContent.trim() || (!flat && column > 0)) return; // under a spanning heading only the headings can go
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const text = (group) => group[0].cells[column]?.textContent.trim() ?? "";
      const sorted = [...groups].sort((a, b) => compare(text(a), text(b), falling));
      body.append(...sorted.flat());
    });
  });
}

function filterable(table, number) {
  const groups = groupsOf(table.tBodies[0]);
  if (groups.length <= FEW_ROWS) return;
  const [label, field, told] = ["label", "input", "output"].map((name) => document.createElement(name));
  const bar = document.createElement("div");
  bar.className = "filter";
  field.type = "search";
  field.id = `filter-${number}`;
  label.htmlFor = field.id;
  label.textContent = "Show rows with";
  bar.append(label, field, told);
  table.parentElement.before(bar);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const group of groups) {
      const text = group.map((row) => row.textContent).join(" ").toLowerCase();
      const hidden = !words.every((word) => text.includes(word));
      group.forEach((row) => { row.hidden = hidden; });
      shown += hidden ? 0 : 1;
    }
    told.textContent = words.length ? `${shown} of ${groups.length}` : "";
  });
}

/** Resting on a mark, or going through all with the arrow keys, says below the figure what it stands for. */
function pointed(figure) {
  const svg = figure.querySelector("svg");
  const tips = svg ? [...svg.querySelectorAll("title")].filter((title) => title.parentNode !== svg) : [];
  if (!tips.length) return;
  const told = document.createElement("output");
  told.className = "told";
  svg.parentElement.after(told);
  let current = -1;
  let marked = null;
  const show = (position) => {
    marked?.classList.remove("marked");
    current = position;
    marked = tips[current]?.parentNode ?? null;
    marked?.classList.add("marked");
    told.textContent = tips[current]?.textContent ?? "";
  };
  svg.addEventListener("pointerover", (event) => {
    const position = tips.findIndex((title) => title.parentNode.contains(event.target));
    if (position >= 0) show(position);
  });
  svg.addEventListener("pointerleave", () => show(-1));
  svg.tabIndex = 0;
  svg.addEventListener("blur", () => show(-1));
  svg.addEventListener("keydown", (event) => {
    const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!by) return;
    event.preventDefault();
    show((current + by + tips.length) % tips.length);
  });
}

document.querySelectorAll("main table").forEach((table, number) => {
  sortable(table);
  filterable(table, number);
});
document.querySelectorAll("figure").forEach(pointed);
