// Rows of a table that are changed in place, so that focus, selection and the place of the page survive.

import { setText } from "./words.js";

export class Rows {
  #body;
  #cells;
  #rows = new Map();

  // `cells` are the columns: {label, text(item), kind, title(item), fill(cell, item)}. `label` stands before the value
  // where the screen is narrow; `fill` makes what is more than a text.
  constructor(body, cells) {
    this.#body = body;
    this.#cells = cells;
  }

  get size() {
    return this.#rows.size;
  }

  // Shows `items` in their order, told apart by `key(item)`; `decorate(row, item)` sets what is of the whole row.
  show(items, key, decorate = () => {}) {
    const wanted = new Set(items.map(key));
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    let before = this.#body.firstElementChild;
    for (const item of items) {
      const row = this.#rows.get(key(item)) ?? this.#make(key(item));
      if (row === before) before = row.nextElementSibling;
      else this.#body.insertBefore(row, before);
      this.#cells.forEach((cell, at) => fill(cell, row.cells[at], item));
      decorate(row, item);
    }
  }

  #make(id) {
    const row = document.createElement("tr");
    for (const { label, kind = "" } of this.#cells) {
      const cell = row.insertCell();
      cell.dataset.label = label;
      cell.className = kind;
    }
    this.#rows.set(id, row);
    return row;
  }
}

function fill({ text, title, fill: make }, cell, item) {
  if (make) return make(cell, item);
  setText(cell, text(item));
  const words = title?.(item) ?? "";
  if (cell.title !== words) cell.title = words;
}

// A button in a cell, made once; `press` gets the item that the cell shows by then.
export function buttonIn(cell, item, words, press) {
  let button = cell.querySelector("button");
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", () => press(button.item, button));
    cell.replaceChildren(button);
  }
  button.item = item;
  if (!button.dataset.asked) setText(button, words);
  return button;
}
