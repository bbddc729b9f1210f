// The table of candidates: a click on a title sorts, the fields above the table filter.
"use strict";

const table = document.getElementById("table");

function cellValue(row, column) {
  const cell = row.cells[column];
  return "value" in cell.dataset ? cell.dataset.value : cell.textContent.trim();
}

function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y) ? x - y : a.localeCompare(b);
}

function sortBy(column) {
  const head = table.tHead.rows[0].cells[column];
  const falling = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => (falling ? -1 : 1) * compare(cellValue(a, column), cellValue(b, column)));
  table.tBodies[0].append(...rows);
}

function filterRows() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const limit = document.getElementById("limit").valueAsNumber;
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    const near = Number.isNaN(limit) || Number(row.dataset.energy) <= limit;
    row.hidden = !(near && words.every((word) => text.includes(word)));
    shown += !row.hidden;
  }
  document.getElementById("shown").textContent = `${shown} of ${table.tBodies[0].rows.length}`;
}

if (table) {
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    cell.querySelector("button").addEventListener("click", () => sortBy(column));
  });
  for (const name of ["filter", "limit"]) document.getElementById(name).addEventListener("input", filterRows);
  filterRows();
}
