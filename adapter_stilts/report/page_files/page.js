"use strict";
// Sorts tables by a column, filters their rows, and opens what a link leads to. Without it the page is whole.
(() => {
  const value = (cell) => {
    const text = cell.textContent.trim();
    const lines = text.split("\n");
    const found = lines[lines.length - 1].match(/^[+-]?\d[\d.]*/) || text.match(/^[+-]?\d[\d.]*/);
    const units = { min: 60, h: 3600 };
    const unit = text.match(/^[\d.]+ (s|min|h)$/);
    return found ? Number(found[0]) * (unit ? units[unit[1]] || 1 : 1) : text;
  };
  const compare = (one, other) => {
    const numbers = [one, other].map((each) => typeof each === "number");
    if (numbers[0] && numbers[1]) return one - other;
    if (numbers[0] !== numbers[1]) return numbers[0] ? 1 : -1;
    return one.localeCompare(other);
  };
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.title = "Sort";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "descending" || (column === 0 && !head.hasAttribute("aria-sort"));
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "ascending" : "descending");
        const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
        rows.sort((one, other) => (down ? 1 : -1) * compare(one[0], other[0]));
        body.append(...rows.map((row) => row[1]));
      });
    });
  }
  const filter = document.getElementById("filter");
  const input = filter.querySelector("input");
  const output = filter.querySelector("output");
  const rows = [...document.querySelectorAll("tbody tr")].map((row) => {
    const section = row.closest("section");
    const title = section.querySelector("h2").textContent;
    return [row, (row.textContent + " " + title).toLowerCase()];
  });
  for (const origin of document.querySelectorAll(".origin")) rows.push([origin, origin.firstElementChild.textContent.toLowerCase()]);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    output.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
  filter.hidden = false;
  const open = () => {
    const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!wanted) return;
    wanted.hidden = false;
    for (let each = wanted; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    wanted.scrollIntoView();
  };
  addEventListener("hashchange", open);
  addEventListener("beforeprint", () => document.querySelectorAll("section:not(#origins):not(#settings) details").forEach((each) => (each.open = true)));
  open();
})();
