"use strict";
// Copy a fix, sort and filter a table, read a chart: all that the page does by script.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

for (const button of all(".copy")) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      // Without a clipboard API (an old browser, a file: page in some): select, and copy that.
      getSelection().selectAllChildren(button.previousElementSibling);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

for (const table of all("table.sortable")) {
  const heads = all("tr:not(.group) th", table);
  heads.forEach((head, column) => head.addEventListener("click", () => {
    // Figures begin with the largest, words with the first; a second click turns the order.
    const words = "text" in head.dataset;
    const down = head.getAttribute("aria-sort") !== "descending"
      && !(words && head.getAttribute("aria-sort") === null);
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value;
    const compare = words
      ? (a, b) => value(b).localeCompare(value(a))
      : (a, b) => value(b) - value(a);
    const rows = all("tbody tr", table).sort((a, b) => (down ? 1 : -1) * compare(a, b));
    table.tBodies[0].append(...rows);
  }));
}

for (const filter of all(".filter")) {
  const rows = all("tbody tr", document.getElementById(filter.dataset.filters));
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const row of rows) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    }
  });
}

const tip = document.getElementById("tip");
for (const figure of all("figure.chart")) {
  const { left, right, steps, width_s: width, series } = JSON.parse(figure.dataset.hover);
  const drawing = figure.querySelector("svg");
  const cursor = figure.querySelector(".cursor");
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const at = (event.clientX - box.left) * 1000 / box.width;
    const step = Math.min(Math.max(Math.floor((at - left) / (right - left) * steps), 0), steps - 1);
    const middle = left + (step + 0.5) / steps * (right - left);
    cursor.setAttribute("x1", middle);
    cursor.setAttribute("x2", middle);
    cursor.setAttribute("visibility", "visible");
    tip.replaceChildren(line("b", `${+(step * width).toFixed(2)} – ${+((step + 1) * width).toFixed(2)} s`));
    for (const one of [...series].reverse()) {
      if (one.values[step] === null || one.values[step] === "0.0") continue;
      const row = document.createElement("div");
      row.append(line("i", "", one.tone), one.name, line("span", one.values[step]));
      tip.append(row);
    }
    tip.hidden = false;
    const over = event.clientX + tip.offsetWidth + 24 > innerWidth;
    tip.style.left = `${event.clientX + (over ? -tip.offsetWidth - 14 : 14)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  });
  drawing.addEventListener("pointerleave", () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  });
}

function line(name, text, tone = "") {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = tone;
  return element;
}
